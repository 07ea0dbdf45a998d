/// The state behind a block, made of manifests and the decisions that are still remembered: what a node starts from, and
/// what a verifier replays from.

package import VarveCore
package import VarveModel
package import VarveStorage

package struct RestoredState: Sendable {
    package var machine: NodeMachine
    package var blocks: BlockSet

    /// - Parameters:
    ///   - history: every manifest up to the block, oldest first; not empty.
    ///   - genesis: of the log whose records come next.
    package init(
        after history: some Collection<BlockStore.StoredManifest>, _ newest: BlockStore.StoredManifest,
        genesis: GenesisID, in store: BlockStore
    ) throws(VarveError) {
        blocks = BlockSet()
        var catalog: [TableName: FieldCatalog] = [:]
        for stored in history {
            blocks.append(AdoptedBlock(stored.manifest, stored.digest, in: store))
            for table in stored.manifest.tables {
                for field in table.newFields { catalog[table.name, default: FieldCatalog()].see(field) }
            }
        }
        var decisions: [Decision] = []
        for block in blocks.blocks where block.manifest.last > newest.manifest.horizon {
            decisions += try block.decisions().filter { $0.position > newest.manifest.horizon }
        }
        decisions.sort { $0.position < $1.position }
        machine = NodeMachine(
            after: newest.manifest, digest: newest.digest, genesis: genesis, decisions: decisions, catalog: catalog)
    }
}
