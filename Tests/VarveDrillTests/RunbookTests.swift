import Testing
import VarveModel

@testable import VarveDrill

/// What a page is read as, and how a page that makes no sense is refused.
@Suite struct RunbookTests {
    private func page(_ body: String) throws -> Runbook {
        try Runbook(path: "pages/p.md", text: "# A page\n" + body)
    }

    private func refusal(_ body: String) -> String? {
        do {
            _ = try page(body)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func aPageIsItsBlocksAndMarksInOrder() throws {
        let page = try page(
            """
            ```text
            CODE: it broke …
            ```
            Stop all.
            <!-- drill: do stop nodes -->
            1. type

               ```sh
               varve epoch plan
                 --more
               ```
               and see

               ```text
               digest DIGEST
               ```
            ```yaml
            not: a command
            ```
            """)
        #expect(page.title == "A page")
        #expect(
            page.steps == [
                .init(.symptom(try #require(Expectation("CODE: it broke …"))), line: 2),
                .init(.hand("stop nodes"), line: 6),
                .init(
                    .command("varve epoch plan\n  --more", Expectation("digest DIGEST"), exitCodes: [0]), line: 9),
            ])
    }

    @Test func marksSayWhereAStepHoldsAndHowItEnds() throws {
        let page = try page(
            """
            <!-- drill: only kafka salvage -->
            ```sh
            a
            ```
            <!-- drill: exit 69 1 -->
            ```sh
            b
            ```
            <!-- drill: not run -->
            ```sh
            c
            ```
            ```text
            of c
            ```
            """)
        #expect(page.steps.count == 2)
        #expect(page.steps[0].only == ["kafka", "salvage"])
        #expect(page.steps[0].holds(for: ["salvage"]) && !page.steps[0].holds(for: ["embedded"]))
        #expect(page.steps[1].kind == .command("b", nil, exitCodes: [69, 1]))
        #expect(page.steps[1].holds(for: []))
    }

    @Test func aBlockBehindAHeadingIsNotWhatTheCommandPrints() throws {
        let page = try page("```sh\na\n```\n## Later\n```text\nsaid\n```\n")
        #expect(page.steps.map(\.line) == [2, 6])
    }

    @Test(arguments: [
        ("```sh\na\n", "p.md:2: the block that begins here does not end"),
        ("```sh\n\n```\n", "p.md:2: a block of commands is empty"),
        ("```text\n```\n```sh\na\n```\n", "p.md:2: a block of what is seen is empty"),
        ("only words", "p.md:1: the page has no command"),
        ("<!-- drill: dance -->\n```sh\na\n```\n", "p.md:2: drills do not know \"dance\""),
        ("<!-- drill: exit soon -->\n```sh\na\n```\n", "p.md:2: soon is no exit code"),
        ("```sh\na\n```\n<!-- drill: exit 1 -->\n", "p.md:5: nothing follows"),
        ("<!-- drill: only kafka -->\n```yaml\na: b\n```\n```sh\na\n```", "p.md:2: what follows is neither"),
        ("<!-- drill: do stop nodes\n-->\n```sh\na\n```\n", "p.md:2: a mark ends on its own line"),
    ])
    func aPageThatMakesNoSenseIsRefusedWithItsLine(body: String, says: String) throws {
        let said = try #require(refusal(body))
        #expect(said.contains(says), "\(said)")
        #expect(said.contains("next:"))
    }

    @Test func aPageWithoutTitleIsRefused() {
        #expect(throws: VarveError.self) { try Runbook(path: "p.md", text: "```sh\na\n```\n") }
    }
}

/// What a page says one will see, against what was seen.
@Suite struct ExpectationTests {
    private func names(_ expected: String, _ seen: String) -> [String: String]? { Expectation(expected)?.match(seen) }

    @Test func linesAreTheSameButForTheWidthOfBlanks() {
        #expect(names("epoch 1\nsafe   all", "epoch   1\n\n  safe all\n") == [:])
        #expect(names("epoch 1", "epoch 2") == nil)
        #expect(names("epoch 1", "epoch 1\nepoch 2") == nil)
        #expect(names("epoch 1\nepoch 2", "epoch 1") == nil)
    }

    @Test func threeDotsStandForAnything() {
        #expect(names("up to …, in blocks", "up to 0-23, in blocks") == [:])
        #expect(names("up to …, in blocks", "up to 0-23 in blocks") == nil)
        #expect(names("…\nb\n…", "b") == [:])
        #expect(names("a\n…\nz", "a\nm\nn\nz") == [:])
        #expect(names("a\n…\nz", "a\nm") == nil)
    }

    @Test func aNameIsAWordThatIsKept() {
        #expect(names("digest DIGEST", "digest  4f0c") == ["DIGEST": "4f0c"])
        #expect(names("--accept-loss DIGEST --config …", "--accept-loss 4f0c --config a") == ["DIGEST": "4f0c"])
        #expect(names("digest DIGEST", "digest") == nil)
        #expect(names("DIGESTS", "DIGESTS") == [:])
    }

    @Test func whatANodeSaidIsFoundInItsLine() throws {
        let expected = try #require(Expectation("LOG_MISSING: the log of epoch … is gone; …"))
        let said = "INFO starting\nERROR node-1 ends: LOG_MISSING: the log of epoch 0 (x) is gone; it is\nlast"
        #expect(expected.find(in: said)?.line.hasPrefix("ERROR") == true)
        #expect(expected.find(in: "LOG_MISSING: nothing") == nil)
    }
}
