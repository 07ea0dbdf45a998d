/// How records get into the log, and how their senders learn what became of them.

internal import Synchronization
package import VarveCore
internal import VarveLog
package import VarveModel
internal import VarveTelemetry

extension Indexer {
    package enum Submitted: Sendable {
        case decided(Decision)
        /// Nobody waited; it may be applied until then, in effective time.
        case pending(SubmissionID, expiresAt: Instant)
    }

    /// Appends a transaction and waits until this node has applied it.
    ///
    /// Throws `OVERSIZE`, `ID_CONFLICT`, `OVERLOADED`, `NOT_READY` or the code the node stopped with when nothing was
    /// appended, `UNKNOWN_OUTCOME` with id and expiry when that is not certain.
    /// - Parameter whenQueued: called each time the record has its place in the queue: what is submitted after that
    ///   comes behind it in the log.
    package func submit(
        payload: Bytes, requestDigest: Bytes16, id given: SubmissionID?, expiryMs: Int64,
        until deadline: ContinuousClock.Instant, awaitOutcome: Bool, whenQueued: (@Sendable () -> Void)? = nil
    ) async throws(VarveError) -> Submitted {
        try checkAccepting()
        let size = Record.headerBytes + payload.count
        guard size <= log.recordBytesMax else {
            throw VarveError(
                .oversize,
                "the transaction takes \(size) bytes as a record, this log accepts \(log.recordBytesMax). Nothing was "
                    + "written",
                next: "split it into smaller transactions")
        }
        try await refreshTime(until: deadline)
        var submission = Submission(
            given ?? Self.randomID(), .transaction(requestDigest), looksUpFirst: given != nil)
        var effect = submission.step(.begin)
        if !awaitOutcome {
            let observed = snapshot
            if case .lookUp = effect { effect = submission.step(.lookedUp(try lookUp(submission.id))) }
            if case .append = effect {
                let (item, expiresAt) = makeTransaction(submission.id, payload, expiryMs, observed)
                guard queue.enqueue(item) != nil else { throw Self.overloaded }
                whenQueued?()
                return .pending(submission.id, expiresAt: expiresAt)
            }
        }
        if case .append = effect {
            // A fresh id needs no look-up: nobody decided it before.
            let (item, expiresAt) = makeTransaction(submission.id, payload, expiryMs, snapshot)
            let passage = await send(item, until: deadline, whenQueued: whenQueued)
            // What nearly every submission is, one record read back: the machine would say the same.
            if case .decided(let decision)? = passage, decision.requestDigest == requestDigest {
                return .decided(decision)
            }
            _ = submission.step(.queued(expiresAt: expiresAt))
            effect = try step(&submission, passage)
        }
        return .decided(
            try await carry(&submission, effect, until: deadline, whenQueued: whenQueued) {
                self.makeTransaction($0, payload, expiryMs, $1)
            })
    }

    /// Does what a submission asks for until it has its answer.
    private func carry(
        _ submission: inout Submission, _ first: Submission.Effect, until deadline: ContinuousClock.Instant,
        whenQueued: (@Sendable () -> Void)? = nil,
        making record: (SubmissionID, _ observed: Snapshot) -> (AppendQueue.Pending, expiresAt: Instant)
    ) async throws(VarveError) -> Decision {
        var effect = first
        // What the look-up saw, or less: a record that claims to have seen more could be taken for news although its id
        // was decided, and forgotten, in between.
        var observed = snapshot
        while true {
            switch effect {
            case .lookUp:
                observed = snapshot
                effect = submission.step(.lookedUp(try lookUp(submission.id)))
            case .append:
                let (item, expiresAt) = record(submission.id, observed)
                _ = submission.step(.queued(expiresAt: expiresAt))
                effect = try step(&submission, await send(item, until: deadline, whenQueued: whenQueued))
            case .appendCancel:
                _ = submission.step(.queued(expiresAt: nil))
                effect = try step(&submission, await send(makeCancel(submission.id, observed), until: deadline))
            case .wait, .purge:
                // Reports and read-backs come to whoever waits for the id; purging is the appender's. What was decided
                // before this wait was registered is found by looking.
                let id = submission.id
                let passage = await waiters.wait(for: id, until: deadline) {
                    if let decision = self.state.withLock({ $0.machine.window[id] }) {
                        self.waiters.resolve(id, .decided(decision))
                    }
                }
                effect = try step(&submission, passage)
            case .answer(let decision): return decision
            case .fail(let error): throw error
            }
        }
    }

    /// What a passage, or the end of the wait, means to a submission.
    private func step(_ submission: inout Submission, _ passage: Passage?) throws(VarveError) -> Submission.Effect {
        switch passage {
        case .decided(let decision)?: return submission.step(.decided(decision))
        case .reported(let report)?: return submission.step(.reported(report))
        case .void?, .passed?: return submission.step(.void)
        case nil:
            // It may have been decided between two waits.
            if let decision = try lookUp(submission.id) { return submission.step(.decided(decision)) }
            return submission.step(.ended(stopped))
        }
    }

    /// What is known of an id: in the state, or in blocks behind the id window.
    package func lookUp(_ id: SubmissionID) throws(VarveError) -> Decision? {
        let (decision, horizon) = state.withLock { ($0.machine.window[id], $0.machine.window.horizon) }
        if let decision { return decision }
        return horizon == .zero ? nil : try snapshot.decision(id)
    }

    /// Decides an id now, whatever its submission's fate was: appends a cancel and waits for what came first.
    package func resolve(
        _ id: SubmissionID, until deadline: ContinuousClock.Instant
    ) async throws(VarveError) -> Decision {
        try checkAccepting()
        try await refreshTime(until: deadline)
        var submission = Submission(id, .cancel, looksUpFirst: true)
        let first = submission.step(.begin)
        return try await carry(&submission, first, until: deadline) {
            (self.makeItem(.cancel, $0, observing: $1), .init(microseconds: 0))
        }
    }

    /// Appends a barrier and reads it back: everything acknowledged anywhere before this call is applied then.
    @discardableResult
    package func barrier(until deadline: ContinuousClock.Instant) async throws(VarveError) -> Position {
        try await pass(.barrier, until: deadline)
    }

    /// Appends a record that decides nothing by itself and reads it back; answers where it stands.
    func pass(
        _ type: RecordType, _ payload: Bytes = Bytes(), until deadline: ContinuousClock.Instant
    ) async throws(VarveError) -> Position {
        try checkAccepting()
        while true {
            switch await send(makeItem(type, Self.randomID(), payload), until: deadline) {
            case .passed(let position, _)?: return position
            case .reported(.refused(let error))?: throw error
            case .reported?:
                // Nobody needs the one that was lost; read twice, both say the same.
                continue
            default:
                throw stopped
                    ?? VarveError(
                        .queryTimeout, "a \(type) record was not read back in time; the log may be away", next: "retry")
            }
        }
    }

    /// Asks for the open block to be cut, and waits for its adoption.
    package func flush(
        until deadline: ContinuousClock.Instant, awaitAdoption: Bool
    ) async throws(VarveError) -> (block: BlockNumber?, position: Position, isNoop: Bool) {
        try checkAccepting()
        let open = state.withLock { $0.machine.open.number }
        let item = makeItem(.flushRequest, Self.randomID(), FlushRequest(block: open).encoded())
        let passage = await send(item, until: deadline)
        guard case .passed(let position, let cut)? = passage else {
            if case .reported(.refused(let error))? = passage { throw error }
            throw stopped ?? flushTimeout
        }
        let newest = cut ?? state.withLock { $0.machine.open.number.value }.predecessor
        guard let newest, awaitAdoption else { return (newest, position, cut == nil) }
        while state.withLock({ $0.machine.adopted.map { $0.number < newest } ?? true }) {
            if let stopped { throw stopped }
            guard ContinuousClock.now < deadline else { throw trouble ?? flushTimeout }
            _ = await adoptions.wait(for: newest, until: min(deadline, .now + .seconds(1)))
        }
        return (newest, position, cut == nil)
    }

    /// Waits until a position has been applied; false at the deadline.
    package func waitUntilApplied(_ position: Position, until deadline: ContinuousClock.Instant) async -> Bool {
        while snapshot.position < position {
            guard ContinuousClock.now < deadline, stopped == nil else { return false }
            // Registered, then looked at again: an apply in between is not missed.
            _ = await positions.wait(for: position, until: min(deadline, .now + .seconds(1))) {
                if self.snapshot.position >= position { self.positions.resolve(position, ()) }
            }
        }
        return true
    }

    // MARK: Pieces

    private var flushTimeout: VarveError {
        VarveError(.flushTimeout, "the block was not adopted in time; it will be", next: "varve blocks list")
    }

    private static let overloaded = VarveError(
        .overloaded, "too much of this node's is waiting for the log. Nothing was written", next: "retry later")

    func checkAccepting() throws(VarveError) {
        let (isReady, stopped, reading, trouble, frozen) = published.withLock {
            ($0.isReady, $0.stopped, $0.readTrouble, $0.trouble, $0.frozenBytes)
        }
        if let stopped { throw stopped }
        guard isReady else {
            throw VarveError(.notReady, "this node is still reading the log. Nothing was written", next: "retry later")
        }
        // Nothing that is appended now would be answered.
        if let reading { throw reading }
        guard frozen <= options.frozenBytesMax else { throw trouble ?? Self.overloaded }
    }

    /// Appends and waits for the passage of the record with that id; nil at the deadline or when the node stops. What was
    /// not handed to the log by then is taken back, and refused.
    private func send(
        _ item: AppendQueue.Pending, until deadline: ContinuousClock.Instant, whenQueued: (@Sendable () -> Void)? = nil
    ) async -> Passage? {
        var ticket: AppendQueue.Ticket?
        let passage = await waiters.wait(for: item.id, tag: item.tag, until: deadline) {
            let isQueued: Bool
            if item.type == .cancel {
                isQueued = queue.enqueueUrgent([item])
            } else {
                ticket = queue.enqueue(item)
                isQueued = ticket != nil
            }
            if isQueued {
                whenQueued?()
            } else {
                waiters.resolve(item.id, tag: item.tag, .reported(.refused(Self.overloaded)))
            }
        }
        guard passage == nil, let ticket, queue.takeBack(ticket) else { return passage }
        return .reported(
            .refused(
                stopped
                    ?? VarveError(
                        .logUnreachable, "the log takes nothing at the moment. Nothing was written", next: "retry later"
                    )))
    }

    /// Effective time stands still while nothing is read: after a quiet minute a barrier brings it up to date, so that
    /// the first submission does not expire on arrival.
    private func refreshTime(until deadline: ContinuousClock.Instant) async throws(VarveError) {
        let last = published.withLock { $0.lastRecordAt }
        guard ContinuousClock.now - last > .seconds(60) else { return }
        do throws(VarveError) {
            try await barrier(until: deadline)
        } catch {
            // Nothing of the submission was appended: a definite answer.
            throw error.code == .queryTimeout
                ? VarveError(.logUnreachable, "the log does not answer. Nothing was written", next: "retry later")
                : error
        }
    }

    private func makeTransaction(
        _ id: SubmissionID, _ payload: Bytes, _ expiryMs: Int64, _ observed: Snapshot
    ) -> (AppendQueue.Pending, expiresAt: Instant) {
        let item = makeItem(.transaction, id, payload, expiryMs: expiryMs, observing: observed)
        return (item, Instant(microseconds: item.header.expiresAt * 1000))
    }

    /// Appends a seal; whether it was the one that counts, the epoch's record says.
    func sendSeal(_ seal: Seal, until deadline: ContinuousClock.Instant) async throws(VarveError) {
        if case .reported(.refused(let error))? = await send(
            makeItem(.seal, Self.randomID(), seal.encoded()), until: deadline)
        {
            throw error
        }
    }

    private func makeCancel(_ id: SubmissionID, _ observed: Snapshot) -> AppendQueue.Pending {
        makeItem(.cancel, id, observing: observed)
    }

    /// Of a record that nobody waits for.
    func makeCancel(of item: AppendQueue.Pending) -> AppendQueue.Pending {
        AppendQueue.Pending(
            tag: tags.wrappingAdd(1, ordering: .relaxed).newValue, header: Submission.cancel(of: item.header),
            payload: Bytes())
    }

    private func makeItem(
        _ type: RecordType, _ id: Bytes16, _ payload: Bytes = Bytes(), expiryMs: Int64 = 0,
        observing observed: Snapshot? = nil
    ) -> AppendQueue.Pending {
        let (token, effect, time) = published.withLock {
            (
                observed?.token ?? $0.snapshot.token, observed?.effectChain ?? $0.snapshot.effectChain,
                $0.snapshot.effectiveTime
            )
        }
        let present = present.withLock { (tag: $0.tag, writer: $0.writer) }
        let header = RecordHeader(
            type: type, logTag: present.tag, id: id, writer: present.writer,
            expiresAt: expiryMs == 0 ? 0 : time + expiryMs,
            observed: token.position, inputChain: (token.chainPrefix ?? 0).byteSwapped,
            effectChain: effect.high.byteSwapped)
        return AppendQueue.Pending(
            tag: tags.wrappingAdd(1, ordering: .relaxed).newValue, header: header, payload: payload)
    }

    private static func randomID() -> Bytes16 {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }
}

extension UInt64 {
    fileprivate var predecessor: BlockNumber? { self == 0 ? nil : BlockNumber(self - 1) }
}

extension Indexer {
    /// The chain prefix this node holds for a position: of the applied one or of a decision; nil when it holds none.
    package func chainPrefix(at position: Position) throws(VarveError) -> UInt64? {
        let snapshot = snapshot
        if snapshot.position == position { return snapshot.token.chainPrefix }
        for block in snapshot.memory {
            if let decision = block.decisions[position] { return decision.chainPrefix }
        }
        guard let block = snapshot.blocks.blocks.first(where: { $0.manifest.last >= position }) else { return nil }
        if block.manifest.last == position { return block.manifest.inputChain.first.high }
        return try block.decisions().first { $0.position == position }?.chainPrefix
    }

    /// Until when a submission of this node's that is still waiting may be applied; nil when nobody waits for it.
    package func pending(_ id: SubmissionID) -> Instant? {
        waiters.isWaiting(for: id) ? Instant(microseconds: snapshot.effectiveTime * 1000) : nil
    }
}
