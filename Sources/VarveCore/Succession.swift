/// What the record of the next epoch, as it stands in storage, means to a node that is still in this one.
///
/// An end by a seal is found by reading the log up to it. One that an operator declared is not in the log: whoever did not
/// know it when he started has read beyond it, or will.

package import VarveModel

package struct Succession: Sendable {
    /// nil while there is none.
    package var next: EpochRecord?
    /// Whether this node reads its epoch knowing of that record.
    package var isKnown: Bool

    package init(_ next: EpochRecord?, isKnown: Bool) {
        self.next = next
        self.isKnown = isKnown
    }

    /// The node appends, acknowledges and publishes nothing more.
    package var endsNode: Bool {
        guard let next else { return false }
        return next.began != .sealed && !isKnown
    }

    /// Whether a block of this epoch must not be published: it stands behind the epoch's end, or was cut by a node that
    /// did not know of the end and may have read beyond it; or it is the last, and not what the record says of that end.
    /// Storage with such a block opens for nobody any more, whatever the others hold.
    package func leavesOut(_ block: Manifest) -> Bool {
        guard let next else { return false }
        guard !endsNode, let end = next.parentEnd, let last = end.block, block.number <= last else { return true }
        return block.number == last && ParentEnd(block) != end
    }

    /// Whether a block waits: one that ends its epoch comes after the next epoch's record, so whoever starts from it finds
    /// the way on.
    package static func isAwaited(by block: FrozenBlock, known: some Collection<EpochRecord>) -> Bool {
        block.draft.cut == .seal && !known.contains { $0.epoch > block.draft.last.epoch }
    }
}
