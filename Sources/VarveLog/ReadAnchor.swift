/// The short proof that what was read came from the log that was read before (docs/decisions/proof-after-reading.md).
///
/// "Which is the first record not older than t?", where t is the time of a record, the *mark*, that was the first of its
/// time. The log that was read answers with the mark. One that was made anew answers with its first record, for times are
/// the log's own and all of it was written after the old one was gone. Any other answer (a clock was set back, the mark has
/// expired) proves nothing and leads to the slow check: the pinned records are read again.
///
/// A value: who asks, and how, is the log's.

package struct ReadAnchor: Sendable {
    package struct Mark: Sendable, Equatable {
        package let offset: Int64
        package let time: Int64

        package init(offset: Int64, time: Int64) {
            self.offset = offset
            self.time = time
        }
    }

    package private(set) var mark: Mark?
    /// The latest time and the last offset of all that was read.
    private var newestTime = Int64.min
    private var lastRead: Int64?

    package init() {}

    /// Looks for a mark in what was read and proved.
    package mutating func note(_ offset: Int64, time: Int64) {
        // Behind a hole an unseen record may have the same time. At offset 0 every log would answer.
        if time > newestTime, lastRead == offset - 1, offset > 0 { mark = Mark(offset: offset, time: time) }
        newestTime = max(newestTime, time)
        lastRead = offset
    }

    package mutating func replace(_ mark: Mark?) { self.mark = mark }

    package enum Outcome: Sendable {
        case proved
        /// By the slow check, and the mark to ask by from now on.
        case checked(Mark?, isSame: Bool)
    }

    /// - Parameters:
    ///   - newest: the newest record that was read.
    ///   - first: the first record not older than a time; nil when there is none, or no answer.
    ///   - check: reads the pinned records again; whether they are there.
    package static func prove(
        _ mark: Mark?, newest: Mark, first: (Int64) async -> Int64?, check: () async -> Bool
    ) async -> Outcome {
        if let mark, await first(mark.time) == mark.offset { return .proved }
        // Asked before the check, so that the check covers the answer.
        let found = await first(newest.time)
        let isSame = await check()
        guard isSame, let found, found > 0, found <= newest.offset else { return .checked(nil, isSame: isSame) }
        return .checked(Mark(offset: found, time: newest.time), isSame: true)
    }
}
