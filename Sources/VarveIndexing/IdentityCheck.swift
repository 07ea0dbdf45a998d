/// Whether the log under a running node is still the one that it has read: genesis and last applied record are read again
/// and compared.
///
/// Looks, and decides what is wrong; when it is made, and who waits for it, is the node's.

package import VarveCore
package import VarveLog
package import VarveModel

package struct IdentityCheck: Sendable {
    let log: any Log
    let epoch: Epoch
    /// The log's first record, where it was still held when the node opened it.
    let genesis: LogEntry?
    let tag: LogTag
    /// The last applied record.
    let applied: Position?
    let digest: Digest
    let time: Int64

    package init(_ log: any Log, _ epoch: Epoch, genesis: LogEntry?, tag: LogTag, _ machine: NodeMachine) {
        self.log = log
        self.epoch = epoch
        self.genesis = genesis
        self.tag = tag
        applied = machine.applied
        digest = machine.recordDigest
        time = machine.logTime
    }

    package enum Finding: Sendable {
        case same
        /// Neither genesis nor the last applied record is still held.
        case nothingHeld
        case other(VarveError)
    }

    package func compare() async throws(VarveError) -> Finding {
        var isProved = false
        if let genesis {
            let found = try await log.read(at: genesis.offset)
            if let found, found.offset == genesis.offset {
                if found != genesis {
                    return .other(changed(genesis.offset, found, isGenesis: found.bytes != genesis.bytes))
                }
                isProved = true
            } else if try await log.range().contains(genesis.offset) {
                return .other(changed(genesis.offset, nil, isGenesis: true))
            }
        }
        guard let applied, applied.epoch == epoch else { return isProved ? .same : .nothingHeld }
        let found = try await log.read(at: applied.offset)
        if let found, found.offset == applied.offset {
            let isSame = found.time == time && Digest(of: found.bytes) == digest
            return isSame ? .same : .other(changed(applied.offset, found, isGenesis: false))
        }
        let range = try await log.range()
        if range.upperBound <= applied.offset {
            return .other(
                VarveError(
                    .logBehind,
                    "the log ends at \(Position(epoch, range.upperBound)), this node has read it up to \(applied). Nothing "
                        + "of it was applied since. See docs/runbooks/log-behind-storage.md",
                    next: "varve epoch plan --config node.yaml"))
        }
        if range.contains(applied.offset) { return .other(changed(applied.offset, nil, isGenesis: false)) }
        // Expired: the next read-back proves it.
        return isProved ? .same : .nothingHeld
    }

    /// Another log in its place, or the same one gone another way.
    private func changed(_ offset: Offset, _ found: LogEntry?, isGenesis: Bool) -> VarveError {
        var code = ErrorCode.logReplaced
        var page = "log-replaced"
        if !isGenesis, let found, case .record = Record.decode(found.bytes, tag: nil), isOurs(found.bytes) {
            code = .logDiverged
            page = "log-diverged"
        }
        return VarveError(
            code,
            "the log changed under this node: at \(Position(epoch, offset)) it no longer holds the record that was applied. "
                + "Nothing of the other log was applied. See docs/runbooks/\(page).md",
            next: "varve epoch plan --config node.yaml")
    }

    /// The genesis itself, or a record with its tag.
    private func isOurs(_ bytes: Bytes) -> Bool {
        if bytes == genesis?.bytes { return true }
        guard case .record(let record) = Record.decode(bytes, tag: tag) else { return false }
        return record.header.type != .genesis
    }
}
