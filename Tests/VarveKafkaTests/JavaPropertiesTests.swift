import Testing

@testable import VarveKafka

/// The syntax of `java.util.Properties`, line by line as its documentation has it.
@Suite struct JavaPropertiesTests {
    private func read(_ text: String) throws -> [String: String] {
        let entries = try JavaProperties(Array(text.utf8)).entries
        return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.value) })
    }

    @Test(arguments: [
        "Truth = Beauty", " Truth:Beauty", "Truth                    :Beauty", "Truth Beauty", "\tTruth\tBeauty",
        "Truth\u{0c}=\u{0c}Beauty", "Truth=\\\n   Beauty", "Tru\\\nth=Beauty", "Truth=\\\r\n\tBeau\\\r  ty",
        "! comment\n#Truth=no\n   # more\n\nTruth=Beauty\n", "Truth=Wrong\nTruth=Beauty", "Truth=\\u0042eauty",
        "\u{feff}Truth=Beauty",
    ])
    func everyFormOfOneEntryIsTheSame(text: String) throws {
        #expect(try read(text) == ["Truth": "Beauty"])
    }

    @Test func theExamplesOfJavasOwnDocumentation() throws {
        let text = """
            fruits                           apple, banana, pear, \\
                                             cantaloupe, watermelon, \\
                                             kiwi, mango
            cheeses
            """
        #expect(
            try read(text) == ["fruits": "apple, banana, pear, cantaloupe, watermelon, kiwi, mango", "cheeses": ""])
    }

    @Test func separatorsMayBePartOfANameWhenEscaped() throws {
        #expect(try read("a\\:b\\=c\\ d = v") == ["a:b=c d": "v"])
        // Only one separator is one; a second is the value's.
        #expect(try read("a == b") == ["a": "= b"])
        #expect(try read("a : = b") == ["a": "= b"])
        #expect(try read("= v") == ["": "v"])
        #expect(try read("url=http://h:1/?a=b") == ["url": "http://h:1/?a=b"])
    }

    @Test func escapesMeanWhatTheySay() throws {
        #expect(try read(#"a=\t\n\r\f\\ \" \' \z \q"#) == ["a": "\t\n\r\u{0c}\\ \" ' z q"])
        #expect(try read(#"a=\u00e9\uD83D\uDE00\u4e2d"#) == ["a": "é😀中"])
        #expect(try read(#"sc\u0068l\u00fcssel=1"#) == ["schlüssel": "1"])
    }

    @Test func aCommentIsNotContinuedAndABackslashPairContinuesNothing() throws {
        #expect(try read("# comment \\\na=1") == ["a": "1"])
        #expect(try read("a=1\\\\\nb=2") == ["a": "1\\", "b": "2"])
        #expect(try read("a=1\\\\\\\nb=2") == ["a": "1\\b=2"])
        // A comment sign within a continued line is text.
        #expect(try read("a=1\\\n# b") == ["a": "1# b"])
        #expect(try read("a=1\\") == ["a": "1"])
    }

    @Test func theWhiteSpaceBehindAValueIsKept() throws {
        #expect(try read("a=b \t") == ["a": "b \t"])
    }

    @Test func entriesKnowTheLineTheyBeginAt() throws {
        let entries = try JavaProperties(Array("#\n\na=1\\\n 2\r\nb=3\rc=4".utf8)).entries
        #expect(entries.map(\.line) == [3, 5, 6])
        #expect(entries.map(\.value) == ["12", "3", "4"])
    }

    @Test func aFileThatIsNoUTF8IsReadAsJavaReadsIt() throws {
        #expect(try JavaProperties(Array("a=\u{e9}".unicodeScalars.map { UInt8($0.value) })).entries[0].value == "é")
        #expect(try read("a=é") == ["a": "é"])
    }

    @Test(arguments: [(#"x=1\#na=\u12"#, 2), (#"a=\u12g4"#, 1), (#"a=\uD83D"#, 1), (#"a=\uDE00x"#, 1)])
    func whatJavaRefusesIsRefusedWithItsLine(text: String, line: Int) {
        #expect { try JavaProperties(Array(text.utf8)) } throws: { ($0 as? JavaProperties.Fault)?.line == line }
    }

    /// Whatever the bytes, there is an answer.
    @Test func noBytesAreATrap() {
        var seed: UInt64 = 7
        let alphabet = Array("ab=: \t\\u0d8#!\r\n\u{0c}é".utf8) + [0, 0xff, 0x80]
        for _ in 0..<3_000 {
            var bytes: [UInt8] = []
            for _ in 0..<24 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(alphabet[Int(seed >> 33) % alphabet.count])
            }
            _ = try? JavaProperties(bytes)
            _ = try? JaasConfiguration(String(decoding: bytes, as: UTF8.self))
        }
    }
}

@Suite struct JaasTests {
    private let plain = "org.apache.kafka.common.security.plain.PlainLoginModule"

    @Test func usernameAndPasswordAreReadAsJavaReadsThem() throws {
        let login = try JaasConfiguration("\(plain) required username=\"alice\" password=\"al\\\"ice\\\\=;pw\";")
        #expect(login.module == plain)
        #expect(login.options == ["username": "alice", "password": "al\"ice\\=;pw"])
    }

    @Test(arguments: [
        "P required a=b c='d e';", "P  REQUIRED\n  a = \"b\"\n c=\"d e\" ;",
        "P optional /* a=x */ a=b // c=no\n c=\"d\\40e\";",
    ])
    func everyWayToWriteOptionsIsTheSame(text: String) throws {
        #expect(try JaasConfiguration(text).options == ["a": "b", "c": "d e"])
    }

    @Test(arguments: [
        "", ";", "P", "P a=b;", "P required a=b", "P required a;", "P required a=;", "P required a=\"b;",
        "P required a=b; Q required c=d;", "P required a=\"b\nc\";",
    ])
    func whatIsNoLoginIsRefusedWithoutItsText(text: String) {
        #expect { try JaasConfiguration(text + "") } throws: { error in
            let reason = (error as? JaasConfiguration.Fault)?.reason ?? "b c"
            return !reason.isEmpty && !reason.contains("a=b")
        }
    }
}
