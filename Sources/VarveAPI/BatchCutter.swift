/// Cuts a body of NDJSON into documents and these into batches. Waits for nothing and knows nothing of HTTP.
///
/// Where batches end follows from the bytes alone, never from how they arrived: a load that is repeated has the same
/// batches with the same ids. Lines end at LF; a CR before it is white space, blank lines are skipped and counted, a
/// byte order mark may stand at the very start.

import VarveModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

final class BatchCutter {
    /// The last line that was read whole, from 1.
    private(set) var line = 0

    private let batchRows: Int
    private let batchBytes: Int
    private let lineBytesMax: Int
    private let options: DocumentOptions
    private var scanner = JSONScanner()
    private var piece = Bytes()
    private var at = 0
    /// The beginning of a line whose end is not there yet.
    private var rest: [UInt8] = []
    private var batch: [Operation.Row] = []
    private var bytes = 0

    /// What a record takes besides its rows: heads, digest, the table's name.
    private static let envelopeBytes = 128
    /// What a row takes besides key and document: two heads.
    private static let rowBytes = 10

    struct Fault: Error {
        var error: VarveError
        var line: Int
    }

    /// - Parameter batchBytes: most bytes of a transaction's encoding.
    init(_ options: RowLoadCut, batchBytes: Int, lineBytesMax: Int) {
        batchRows = options.batchRows
        self.options = DocumentOptions(idField: options.idField)
        self.batchBytes = batchBytes - Self.envelopeBytes
        self.lineBytesMax = lineBytesMax
    }

    /// Takes the next piece of the body; the one before was used up (`next` gave nil).
    func feed(_ piece: [UInt8]) {
        self.piece = Bytes(piece)
        at = 0
    }

    /// The next full batch; nil when more of the body is needed.
    func next() throws(Fault) -> [Operation.Row]? {
        while at < piece.count {
            guard let end = lineEnd() else {
                guard rest.count + piece.count - at <= lineBytesMax else { throw tooLong(line + 1) }
                rest += piece[at..<piece.count].array
                at = piece.count
                return nil
            }
            let start = at
            at = end + 1
            if let full = try take(start, end) { return full }
        }
        return nil
    }

    /// What is left when the body has ended: batches, then nil.
    func last() throws(Fault) -> [Operation.Row]? {
        if !rest.isEmpty {
            let whole = Bytes(rest)
            rest = []
            if let full = try whole.withUnsafeBytes({ raw throws(Fault) in try document(raw) }) { return full }
        }
        guard !batch.isEmpty else { return nil }
        return takeBatch()
    }

    private func lineEnd() -> Int? {
        piece.withUnsafeBytes { raw in
            guard let base = raw.baseAddress, let found = memchr(base + at, 0x0a, raw.count - at) else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    private func take(_ start: Int, _ end: Int) throws(Fault) -> [Operation.Row]? {
        guard rest.count + end - start <= lineBytesMax else { throw tooLong(line + 1) }
        if rest.isEmpty {
            return try piece.withUnsafeBytes { raw throws(Fault) in
                try document(UnsafeRawBufferPointer(rebasing: raw[start..<end]))
            }
        }
        rest += piece[start..<end].array
        let whole = Bytes(rest)
        rest = []
        return try whole.withUnsafeBytes { raw throws(Fault) in try document(raw) }
    }

    private func tooLong(_ line: Int) -> Fault {
        Fault(
            error: VarveError(.oversize, "the line has more than \(lineBytesMax) bytes (http.maxBodyBytes)"), line: line
        )
    }

    /// One line; the batch that it fills or no longer fits.
    private func document(_ bytesOfLine: UnsafeRawBufferPointer) throws(Fault) -> [Operation.Row]? {
        line += 1
        var raw = bytesOfLine
        if line == 1, raw.starts(with: [0xef, 0xbb, 0xbf]) { raw = UnsafeRawBufferPointer(rebasing: raw[3...]) }
        let isBlank = raw.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
        if isBlank { return nil }
        let row: Operation.Row
        do throws(JSONFault) {
            row = try scanner.document(raw, options)
        } catch {
            throw Fault(error: error.error, line: line)
        }
        let size = row.key.bytes.count + row.document.count + Self.rowBytes
        guard size <= batchBytes else {
            throw Fault(
                error: VarveError(.oversize, "the document takes \(size) bytes, a record of this log \(batchBytes)"),
                line: line)
        }
        if bytes + size > batchBytes {
            let full = takeBatch()
            batch.append(row)
            bytes = size
            return full
        }
        batch.append(row)
        bytes += size
        return batch.count == batchRows ? takeBatch() : nil
    }

    private func takeBatch() -> [Operation.Row] {
        let full = batch
        batch = []
        batch.reserveCapacity(min(batchRows, full.count))
        bytes = 0
        return full
    }
}

/// How a load is cut: what its options say of it.
struct RowLoadCut {
    var batchRows: Int
    var idField: String?
}
