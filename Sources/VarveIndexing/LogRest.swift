/// What stands in a log behind the newest position that storage holds.

internal import VarveCore
internal import VarveLog
internal import VarveModel

extension Log {
    /// Counts up to the first valid seal: what is behind one is void. Throws `LOG_CORRUPT` and `UNSUPPORTED_RECORD` for a
    /// record of ours that cannot be read: it may be a transaction, so nothing can be proved.
    func rest(
        from start: Offset, to end: Offset, _ epoch: Epoch, _ tag: LogTag
    ) async throws(VarveError) -> StartUp.Rest {
        var rest = StartUp.Rest()
        try await forEachBatch(from: start, to: end) { (entries) throws(VarveError) in
            for entry in entries {
                let position = Position(epoch, entry.offset)
                let record: Record
                switch Record.decode(entry.bytes, tag: tag) {
                case .record(let readable): record = readable
                case .foreign, .unsupported(_, critical: false): continue
                case .damaged(let reason):
                    throw VarveError(.logCorrupt, "the record at \(position) is damaged: \(reason)")
                case .unsupported(let reason, critical: true):
                    throw VarveError(.unsupportedRecord, "the record at \(position): \(reason)")
                }
                rest.last = position
                switch record.header.type {
                case .transaction, .cancel: rest.submissions += 1
                case .seal:
                    guard let seal = try? Seal.decode(record.payload), seal.next == epoch.next else { continue }
                    rest.seal = (position, seal)
                    return false
                default: break
                }
            }
            return true
        }
        return rest
    }
}
