/// Whether a node whose log fails it can go on by itself: the rest of its epoch stands in blocks, and the log that comes
/// next is there. Then it ends and goes through its whole start, which begins behind those blocks.
///
/// `Onward` says when storage is asked, `Onward.Question` asks it. Nothing is decided from what a log says of itself: a node
/// begins again only for what storage holds.

internal import VarveCore
package import VarveLog
package import VarveModel
package import VarveStorage

package struct Onward: Sendable {
    /// What a log may say when it, or what was needed of it, is no longer there.
    private static let codes: [ErrorCode] = [.logMissing, .logGap, .logBehind, .logReplaced]
    /// A log that gave no answer for so many looks may never give one.
    private static let silentLooksMax = 3

    private var silent = 0

    package init() {}

    /// Whether a node that stopped with this code may find its way on in storage.
    package static func mayFollow(_ code: ErrorCode) -> Bool { codes.contains(code) }

    /// At each look: whether storage is to be asked.
    /// - Parameters:
    ///   - stopped: with what the node has stopped; nil while it runs.
    ///   - answers: whether its log says where its end is.
    ///   - isOpen: false while the node crosses into the next epoch, which has waits of its own.
    package mutating func look(stopped: ErrorCode?, answers: Bool, isOpen: Bool) -> Bool {
        if let stopped { return Self.mayFollow(stopped) }
        silent = answers || !isOpen ? 0 : silent + 1
        return silent >= Self.silentLooksMax
    }

    package struct Question: Sendable {
        let store: BlockStore
        let places: LogPlaces
        let database: DatabaseID
        /// Where the node stands, and in which log.
        let epoch: Epoch
        let applied: Position
        let log: any Log
        /// It stopped because its log no longer holds what comes next.
        let isGap: Bool

        package init(
            _ store: BlockStore, _ places: LogPlaces, database: DatabaseID, _ epoch: Epoch, applied: Position,
            _ log: any Log, stopped: ErrorCode?
        ) {
            self.store = store
            self.places = places
            self.database = database
            self.epoch = epoch
            self.applied = applied
            self.log = log
            isGap = stopped == .logGap
        }

        /// The epoch that a start would begin in, when blocks hold everything up to its beginning, and its log is there; nil
        /// while the node has to stay.
        /// - Parameter onDisk: runs what waits for a disk.
        package func answer(
            onDisk: (@escaping @Sendable () throws(VarveError) -> DatabaseLoading) async throws(VarveError)
                -> DatabaseLoading
        ) async throws(VarveError) -> EpochRecord? {
            let (store, database) = (store, database)
            let loading = try await onDisk { () throws(VarveError) in
                try DatabaseLoading(store, try store.epochRecords(), database: database)
            }
            guard let record = try await recordBeyondReach(loading),
                let provider = try await places.provider(for: record.log, of: record.epoch),
                try await provider.probe(record.epoch) == .present
            else { return nil }
            return record
        }

        /// A later epoch, when all are linked by seals; or the present one, when blocks reach to where its log begins.
        private func recordBeyondReach(_ loading: DatabaseLoading) async throws(VarveError) -> EpochRecord? {
            let current = loading.current
            if current.epoch > epoch {
                let isLinked = loading.epochs.allSatisfy { $0.record.epoch <= epoch || $0.record.began == .sealed }
                return isLinked ? current : nil
            }
            guard isGap, let newest = loading.newest?.last, newest > applied, newest.epoch == epoch else { return nil }
            let range = try await log.range()
            return range.lowerBound <= newest.offset.next ? current : nil
        }
    }
}
