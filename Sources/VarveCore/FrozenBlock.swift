/// The block that is filling, and a block that is complete but not yet adopted.

package import VarveModel

/// Everything since the last cut.
package struct OpenBlock: Sendable {
    package let number: BlockNumber
    /// Position and effective time of the block's first record; nil while it holds none.
    package var first: (position: Position, effectiveTime: Int64)?
    package var counts = Manifest.Counts()
    package var live = LiveIndex()
    /// Decided submissions by the position that decided them.
    package var decisions = PersistentTree<Position, Decision>()

    package init(number: BlockNumber) { self.number = number }
}

/// A block between its cut and its adoption: what to write, and what a published manifest must agree with.
package struct FrozenBlock: Sendable {
    /// The manifest as far as the log alone decides it: `previous` and the tables' files are still missing.
    package let draft: Manifest
    package let live: LiveIndex
    package let decisions: PersistentTree<Position, Decision>

    package var number: BlockNumber { draft.number }

    /// Whether a published manifest says what this node computed; its files' digests are not compared here.
    package func agrees(with published: Manifest, previous: Digest) -> Bool {
        var expected = draft
        expected.previous = previous
        var found = published
        // How it is written down is no difference.
        found.format = expected.format
        for i in found.tables.indices { found.tables[i].files = [] }
        return expected == found
    }

    /// The complete manifest, once files and predecessor are known.
    package func manifest(previous: Digest, files: [TableName: [Manifest.File]]) -> Manifest {
        var manifest = draft
        manifest.previous = previous
        for i in manifest.tables.indices { manifest.tables[i].files = files[manifest.tables[i].name] ?? [] }
        return manifest
    }
}
