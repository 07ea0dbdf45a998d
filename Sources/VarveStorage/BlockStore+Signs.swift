/// What nodes leave for each other in a storage: claims on blocks, and their own heartbeats.

package import VarveModel

extension BlockStore {
    package static func claimName(_ epoch: Epoch, _ number: BlockNumber, _ attempt: Int) -> String {
        claimsPrefix(epoch, number) + hexNumber(UInt64(attempt), 4)
    }

    private static func claimsPrefix(_ epoch: Epoch, _ number: BlockNumber) -> String {
        "claims/e\(hexNumber(epoch.number, 4))/b\(hexNumber(number.value, 16))/"
    }

    package static func heartbeatName(_ node: String) -> String { "nodes/\(node).cbor" }

    /// The newest claim on a block: its attempt and bytes; nil when there is none.
    package func newestClaim(_ epoch: Epoch, _ number: BlockNumber) throws(VarveError) -> (attempt: Int, bytes: Bytes)?
    {
        let prefix = Self.claimsPrefix(epoch, number)
        for name in try objects.list(prefix).reversed() {
            guard let attempt = Int(name.dropFirst(prefix.count), radix: 16), let bytes = try objects.get(name) else {
                continue
            }
            return (attempt, bytes)
        }
        return nil
    }

    /// Takes a block's claims away, once it is published.
    package func removeClaims(_ epoch: Epoch, _ number: BlockNumber) throws(VarveError) {
        for name in try objects.list(Self.claimsPrefix(epoch, number)) { try objects.remove(name) }
    }

    /// Every node's heartbeat as it stands, by node id; read while they are written, so one may be torn.
    package func heartbeats() throws(VarveError) -> [(node: String, bytes: Bytes)] {
        var list: [(node: String, bytes: Bytes)] = []
        for name in try objects.list("nodes/") where name.hasSuffix(".cbor") {
            guard let bytes = try objects.get(name) else { continue }
            list.append((String(name.dropFirst(6).dropLast(5)), bytes))
        }
        return list
    }
}
