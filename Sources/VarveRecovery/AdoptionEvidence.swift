/// What nodes said that they had adopted, held against what stands in storage: `varve blocks verify`.
///
/// A manifest is held by the digest in its successor, an epoch record by the one after it. Nothing follows the newest of
/// either, so that it is gone, or is another one, no chain can tell; but every node that adopted it says so in its
/// heartbeat, and a node says so only after the object was durable. So signs are read *before* storage, and what they
/// name must be there then, however many nodes publish meanwhile.
///
/// What a bump declared to be no part of the database is no contradiction: it was adopted once and is left out now.

internal import VarveCore
package import VarveModel
package import VarveStorage

package struct AdoptionEvidence: Sendable {
    package struct Contradiction: Sendable, Equatable {
        /// The object that is missing or another.
        package var name: String
        package var reason: String
        /// Who says so, by id.
        package var nodes: [String]
        /// The command, or the act, that puts it right.
        package var next: String
    }

    private let store: BlockStore
    private let signs: [Heartbeat]

    /// Reads the nodes' signs; one that is torn or damaged says nothing.
    package init(_ store: BlockStore) throws(VarveError) {
        self.store = store
        signs = try store.heartbeats().compactMap { try? Heartbeat.decode($0.bytes) }
    }

    /// Every object that a node has seen and that does not stand as it saw it; one entry an object, by name.
    package func contradictions() throws(VarveError) -> [Contradiction] {
        let epochs = try store.epochRecords().map(\.record)
        var found: [String: Contradiction] = [:]
        func note(_ name: String, _ node: String, _ reason: String, next: String) {
            found[name, default: Contradiction(name: name, reason: reason, nodes: [], next: next)].nodes.append(node)
        }
        for sign in signs.sorted(by: { $0.node < $1.node }) {
            if let newest = epochs.last?.epoch, sign.epoch > newest {
                note(
                    BlockStore.epochName(sign.epoch), sign.node,
                    "it is missing: no epoch after \(newest) is recorded, and a node was in epoch \(sign.epoch)",
                    next: Self.restore)
            }
            guard let adopted = sign.adopted, !isLeftOut(adopted.position, epochs) else { continue }
            let epoch = adopted.position.epoch
            let name = BlockStore.manifestName(epoch, adopted.number)
            guard let stored = try store.manifest(epoch, adopted.number)?.manifest else {
                note(
                    name, sign.node,
                    "it is missing: a node had adopted block \(adopted.number), up to \(adopted.position)",
                    next: Self.makeAgain)
                continue
            }
            if let difference = Self.difference(stored, sign, adopted) {
                note(name, sign.node, difference, next: Self.restore)
            }
        }
        return found.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// A block is a function of the log, so any node that can still read its records writes it again.
    private static let makeAgain =
        "restore it from a copy of the storage; or, while the log still holds its records (varve log verify --config "
        + "node.yaml), start a node again: it makes the block once more"

    private static let restore = "restore it from a backup or another copy of the storage"

    /// Whether a later epoch's record declared that its parent ended before `position`.
    private func isLeftOut(_ position: Position, _ epochs: [EpochRecord]) -> Bool {
        epochs.contains { record in
            guard let end = record.parentEnd else { return false }
            return position.epoch < record.epoch && position > end.position
        }
    }

    /// In words; nil where the node saw what stands there.
    private static func difference(
        _ stored: Manifest, _ sign: Heartbeat, _ adopted: Heartbeat.Adopted
    ) -> String? {
        guard stored.last == adopted.position else {
            return
                "it ends at \(stored.last), the block \(adopted.number) that a node had adopted ends at \(adopted.position)"
        }
        // The chains that the node said are those of its last record, so they can be compared where that is the block's.
        guard sign.applied == stored.last else { return nil }
        guard stored.inputChain == sign.inputChain, stored.effectChain == sign.effectChain else {
            return "it ends at \(stored.last) with other chains than those that a node had there"
        }
        return nil
    }
}
