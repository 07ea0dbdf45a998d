/// What stands in a log behind the newest position that storage holds.

internal import VarveCore
internal import VarveLog
internal import VarveModel

extension Log {
    /// Counts up to the first valid seal: what is behind one is void.
    func rest(
        from start: Offset, to end: Offset, _ epoch: Epoch, _ tag: LogTag
    ) async throws(VarveError) -> StartUp.Rest {
        var rest = StartUp.Rest()
        try await forEachBatch(from: start, to: end) { (entries) throws(VarveError) in
            for entry in entries {
                let position = Position(epoch, entry.offset)
                guard case .record(let record) = Record.decode(entry.bytes, tag: tag) else { continue }
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
