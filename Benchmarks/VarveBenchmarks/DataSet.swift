/// The documents that are loaded, as the JSON texts they are given as.
///
/// `VARVE_BENCH_DATA` names a file (the Makefile does when the whole Debian package list lies beside the repository);
/// else the part of it that ships in `Examples/data` is repeated with other ids until there are as many.

internal import VarveGzip
internal import VarveIO
internal import VarveModel

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

struct DataSet: Sendable {
    /// How many documents the Debian package list has, and so every run.
    static let documentCount = 63_440

    let description: String
    /// Each a slice of one text.
    let lines: [Bytes]
    /// Of all lines with their line ends.
    let bytes: Int

    static func read() throws -> DataSet {
        if let named = getenv("VARVE_BENCH_DATA").map({ String(cString: $0) }), !named.isEmpty {
            return try read(named)
        }
        let directory = "Examples/data"
        let names = ((try? Directory.list(directory)) ?? []).map(\.name)
        guard let name = names.sorted().first(where: { $0.hasSuffix(".ndjson") || $0.hasSuffix(".ndjson.gz") }) else {
            throw Fault("no documents: set VARVE_BENCH_DATA to an NDJSON file, or run this in the repository")
        }
        return try read(Directory.join(directory, name)).repeated(to: documentCount)
    }

    private static func read(_ path: String) throws -> DataSet {
        guard let content = try FileSystem.read(path) else { throw Fault("\(path) is not there") }
        var text = content
        if content.starts(with: [0x1f, 0x8b]) {
            var reader = try GzipReader()
            text = []
            try reader.inflate(content, into: &text)
        }
        let lines = Self.lines(of: text)
        guard !lines.isEmpty else { throw Fault("\(path) holds no documents") }
        return DataSet("\(lines.count) documents of \(path.split(separator: "/").last ?? "")", lines)
    }

    private init(_ description: String, _ lines: [Bytes]) {
        self.description = description
        self.lines = lines
        bytes = lines.reduce(0) { $0 + $1.count + 1 }
    }

    private static func lines(of text: [UInt8]) -> [Bytes] {
        let whole = Bytes(text)
        var lines: [Bytes] = []
        var start = 0
        for (i, byte) in text.enumerated() where byte == UInt8(ascii: "\n") {
            if i > start { lines.append(whole[start..<i]) }
            start = i + 1
        }
        if start < text.count { lines.append(whole[start..<text.count]) }
        return lines
    }

    /// Every copy but the first has its round's number in front of each `_id`, which is a text.
    private func repeated(to count: Int) throws -> DataSet {
        guard lines.count < count else { return self }
        let starts = try lines.map { line in
            guard let start = Self.idStart(in: line.array) else { throw Fault("a document has no text as its _id") }
            return start
        }
        var text: [UInt8] = []
        text.reserveCapacity(bytes * (count / lines.count + 1))
        for i in 0..<count {
            let line = lines[i % lines.count].array
            let round = i / lines.count
            let start = starts[i % lines.count]
            text += line[..<start]
            if round > 0 { text += Array("\(round)-".utf8) }
            text += line[start...]
            text.append(UInt8(ascii: "\n"))
        }
        return DataSet("\(count) documents, \(description) repeated", Self.lines(of: text))
    }

    /// Index of the first character of the `_id`.
    private static func idStart(in line: [UInt8]) -> Int? {
        let name = Array("\"_id\":".utf8)
        guard let at = line.indices.first(where: { line[$0...].starts(with: name) }) else { return nil }
        let value = line[(at + name.count)...].drop { $0 == UInt8(ascii: " ") }
        return value.first == UInt8(ascii: "\"") ? value.startIndex + 1 : nil
    }

    var text: [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(bytes)
        for line in lines {
            line.withUnsafeBytes { text.append(contentsOf: $0) }
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    /// Five fields, about 105 bytes: what the anchor was measured with.
    static func synthetic(_ count: Int) -> [Bytes] {
        (0..<count).map { i in
            Bytes(
                "{\"_id\":\"user-\(i)\",\"name\":\"name number \(i)\",\"age\":\(i % 90),\"city\":\"city \(i % 997)\","
                    + "\"balance\":\(Double(i % 100_000) / 8),\"active\":\(i % 3 == 0)}")
        }
    }
}
