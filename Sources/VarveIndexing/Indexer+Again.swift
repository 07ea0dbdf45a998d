/// A node whose log fails it, while storage has gone on without it: the rest of its epoch stands in blocks, and the log that
/// comes next is there. It learns that from storage by itself (`Onward`), ends, and goes through the whole start procedure.
///
/// So one that was cut off or stood still while the log was moved needs nobody when the old log is deleted, as
/// `varve epoch status` said it may be.

internal import Synchronization
internal import VarveCore
internal import VarveLog
internal import VarveModel
internal import VarveStorage
internal import VarveTelemetry

extension Indexer {
    /// Returns when the node shall begin again.
    func watchStorage() async -> VarveError? {
        var onward = Onward()
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(options.heartbeatMs))
            if Task.isCancelled { return nil }
            let code = stopped?.code
            let log = log
            let answers = code == nil ? (try? await log.range()) != nil : true
            if onward.look(stopped: code, answers: answers, isOpen: present.withLock { $0.isOpen }) {
                await beginAgainIfStorageWentOn()
            }
            if beginsAgain { return stopped ?? VarveError(.notReady, "this node starts anew") }
        }
        return nil
    }

    func beginAgainIfStorageWentOn() async {
        let code = stopped?.code
        guard code.map(Onward.mayFollow) ?? true, !beginsAgain else { return }
        let question = Onward.Question(
            store, places, database: state.withLock { $0.machine.database }, epoch, applied: snapshot.position, log,
            stopped: code)
        do throws(VarveError) {
            let record = try await question.answer { (body) async throws(VarveError) in
                try await onDisk(presenceQueue) { () throws(VarveError) in try body() }
            }
            guard let record else { return }
            logger.warning(
                "storage has gone on to epoch \(record.epoch) (\(record.log.place)) without this node, whose log "
                    + "\(code == nil ? "does not answer" : "cannot be read further"): it goes through its start again",
                metadata: ["applied": snapshot.position.description])
            again.withLock { $0 = true }
        } catch {
            logger.debug("storage was asked whether it has gone on: \(error)")
        }
    }
}
