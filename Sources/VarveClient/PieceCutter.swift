// Cuts an input into pieces at line ends.
//
// Invariant: where pieces end follows from content, batch size and piece size alone, so the same load is cut the same
// way again and its batches have the same ids. A piece ends at the end of a batch (unless lines are huge), so that
// transactions are full.

import VarveModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

struct Piece: Sendable {
    var number: Int
    /// Of the input, from 1.
    var firstLine: Int
    var bytes: [UInt8]
}

struct PieceCutter: ~Copyable {
    private var reader: ContentReader
    private let batchLines: Int
    private let pieceBytes: Int
    private var pending: [UInt8] = []
    /// Of `pending`: looked at so far, and the lines in it.
    private var scanned = 0
    private var lines = 0
    private var number = 0
    private var line = 1
    private var isAtEnd = false

    /// A piece may wait this many times its size for the end of a batch.
    private static let batchPatience = 4
    /// No line is longer: the node's own limit on a line is lower.
    private static let lineBytesMax = 64 << 20

    init(_ input: LoadInput, batchLines: Int, pieceBytes: Int) throws(VarveError) {
        reader = try ContentReader(input)
        self.batchLines = batchLines
        self.pieceBytes = pieceBytes
    }

    /// The next piece, nil behind the last one. Waits for the input.
    mutating func next() throws(VarveError) -> Piece? {
        while true {
            if let piece = cut() { return piece }
            if isAtEnd { return rest() }
            guard pending.count - (scanned) < Self.lineBytesMax, pending.count < Self.lineBytesMax + pieceBytes * 8
            else {
                throw VarveError(
                    .oversize, "line \(line + lines) is longer than \(Self.lineBytesMax) bytes",
                    next: "check that the input is NDJSON: one document a line")
            }
            isAtEnd = try !reader.read(into: &pending)
        }
    }

    /// A piece of whole lines, when there is enough for one.
    private mutating func cut() -> Piece? {
        let (pieceBytes, batchLines) = (pieceBytes, batchLines)
        var (at, lines) = (scanned, lines)
        var end: Int?
        pending.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            while let found = memchr(base + at, 0x0a, bytes.count - at) {
                at = UnsafeRawPointer(found) - base + 1
                lines += 1
                let isFull = at >= pieceBytes && lines % batchLines == 0
                if isFull || at >= pieceBytes * Self.batchPatience {
                    end = at
                    return
                }
            }
            at = bytes.count
        }
        (scanned, self.lines) = (at, lines)
        return end.map { take($0) }
    }

    private mutating func rest() -> Piece? { pending.isEmpty ? nil : take(pending.count) }

    private mutating func take(_ count: Int) -> Piece {
        let piece = Piece(number: number, firstLine: line, bytes: Array(pending[..<count]))
        pending.removeFirst(count)
        number += 1
        line += lines
        (scanned, lines) = (0, 0)
        return piece
    }
}
