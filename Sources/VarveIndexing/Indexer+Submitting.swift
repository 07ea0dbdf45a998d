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
        let id = given ?? Self.randomID()
        // Each round looks the id up anew, so that `observed` is behind the horizon.
        for _ in 0..<8 {
            if given != nil, let decision = try lookUp(id) {
                return .decided(try Self.answer(decision, requestDigest))
            }
            let (header, expiresAt) = makeHeader(.transaction, id: id, expiryMs: expiryMs)
            let item = AppendQueue.Pending(id: id, bytes: Record(header: header, payload: payload).encoded())
            guard awaitOutcome else {
                guard queue.enqueue(item) else { throw Self.overloaded }
                whenQueued?()
                return .pending(id, expiresAt: expiresAt)
            }
            switch await send(item, until: deadline, whenQueued: whenQueued) {
            case .decided(let decision)?: return .decided(try Self.answer(decision, requestDigest))
            case .refused(let error)?: throw error
            case .void?, .passed?: continue
            case nil: throw unknown(id, expiresAt)
            }
        }
        throw unknown(id, Instant(microseconds: snapshot.effectiveTime * 1000))
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
        for _ in 0..<8 {
            if let decision = try lookUp(id) { return decision }
            let (header, expiresAt) = makeHeader(.cancel, id: id, expiryMs: 0)
            let item = AppendQueue.Pending(id: id, bytes: Record(header: header, payload: Bytes()).encoded())
            switch await send(item, until: deadline) {
            case .decided(let decision)?: return decision
            case .refused(let error)?: throw error
            case .void?, .passed?: continue
            case nil: throw unknown(id, expiresAt)
            }
        }
        throw unknown(id, Instant(microseconds: 0))
    }

    /// Appends a barrier and reads it back: everything acknowledged anywhere before this call is applied then.
    @discardableResult
    package func barrier(until deadline: ContinuousClock.Instant) async throws(VarveError) -> Position {
        try checkAccepting()
        let (header, _) = makeHeader(.barrier, id: Self.randomID(), expiryMs: 0)
        let item = AppendQueue.Pending(id: header.id, bytes: Record(header: header, payload: Bytes()).encoded())
        switch await send(item, until: deadline) {
        case .passed(let position, _)?: return position
        case .refused(let error)?: throw error
        default:
            throw stopped
                ?? VarveError(.queryTimeout, "a barrier was not read back in time; the log may be away", next: "retry")
        }
    }

    /// Asks for the open block to be cut, and waits for its adoption.
    package func flush(
        until deadline: ContinuousClock.Instant, awaitAdoption: Bool
    ) async throws(VarveError) -> (block: BlockNumber?, position: Position, isNoop: Bool) {
        try checkAccepting()
        let open = state.withLock { $0.machine.open.number }
        let (header, _) = makeHeader(.flushRequest, id: Self.randomID(), expiryMs: 0)
        let record = Record(header: header, payload: FlushRequest(block: open).encoded())
        let passage = await send(AppendQueue.Pending(id: header.id, bytes: record.encoded()), until: deadline)
        guard case .passed(let position, let cut)? = passage else {
            if case .refused(let error)? = passage { throw error }
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

    private func unknown(_ id: SubmissionID, _ expiresAt: Instant) -> VarveError {
        var error = VarveError(
            .unknownOutcome,
            "the submission \(id) was not read back in time: it may still be applied, until the log's time is \(expiresAt)",
            next: "GET /v1/transactions/\(id)?resolve=true")
        error.id = id
        error.expiresAt = expiresAt
        return error
    }

    private func checkAccepting() throws(VarveError) {
        let (isReady, stopped, trouble, frozen) = published.withLock {
            ($0.isReady, $0.stopped, $0.trouble, $0.frozenBytes)
        }
        if let stopped { throw stopped }
        guard isReady else {
            throw VarveError(.notReady, "this node is still reading the log. Nothing was written", next: "retry later")
        }
        guard frozen <= options.frozenBytesMax else { throw trouble ?? Self.overloaded }
    }

    /// Appends and waits for the passage of the record with that id; nil at the deadline or when the node stops.
    private func send(
        _ item: AppendQueue.Pending, until deadline: ContinuousClock.Instant, whenQueued: (@Sendable () -> Void)? = nil
    ) async -> Passage? {
        await waiters.wait(for: item.id, until: deadline) {
            if self.queue.enqueue(item) {
                whenQueued?()
            } else {
                self.waiters.resolve(item.id, .refused(Self.overloaded))
            }
        }
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

    private func makeHeader(
        _ type: RecordType, id: Bytes16, expiryMs: Int64
    ) -> (header: RecordHeader, expiresAt: Instant) {
        let (token, effect, time) = published.withLock {
            ($0.snapshot.token, $0.snapshot.effectChain, $0.snapshot.effectiveTime)
        }
        let expiresAt = expiryMs == 0 ? 0 : time + expiryMs
        let header = RecordHeader(
            type: type, logTag: tag, id: id, writer: writer,
            writerSequence: sequence.wrappingAdd(1, ordering: .relaxed).newValue, expiresAt: expiresAt,
            observed: token.position, inputChain: (token.chainPrefix ?? 0).byteSwapped,
            effectChain: effect.high.byteSwapped)
        return (header, Instant(microseconds: expiresAt * 1000))
    }

    private static func answer(_ decision: Decision, _ digest: Bytes16) throws(VarveError) -> Decision {
        guard decision.requestDigest == nil || decision.requestDigest == digest else {
            var error = VarveError(
                .idConflict,
                "the submission id \(decision.id) was used for other content, decided at \(decision.position)",
                next: "use a new id for a new transaction")
            error.id = decision.id
            throw error
        }
        return decision
    }

    private static func randomID() -> Bytes16 {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }

    // MARK: The appender

    func appendLoop() async {
        await withTaskCancellationHandler {
            while let batch = await queue.next() {
                await waitForLogRoom()
                if Task.isCancelled { return }
                let began = ContinuousClock.now
                let results = await log.append(batch.map(\.bytes))
                options.onAppend(ContinuousClock.now - began)
                for (item, result) in zip(batch, results) {
                    switch result {
                    case .stored: counters.appended.add(1, ordering: .relaxed)
                    case .refused(let error): waiters.resolve(item.id, .refused(error))
                    case .unknown(let error): await resolveLater(item, error)
                    }
                }
            }
        } onCancel: {
            queue.close()
        }
    }

    /// A record without a report: a cancel behind it, once; whichever comes first in the log decides.
    private func resolveLater(_ item: AppendQueue.Pending, _ error: VarveError) async {
        logger.warning(
            "a record has no report and is being resolved", metadata: ["id": "\(item.id)", "why": error.message])
        guard case .record(let record) = Record.decode(item.bytes, tag: nil), record.header.type == .transaction else {
            return
        }
        var header = record.header
        header.type = .cancel
        header.expiresAt = 0
        header.writerSequence = sequence.wrappingAdd(1, ordering: .relaxed).newValue
        _ = queue.enqueue(AppendQueue.Pending(id: item.id, bytes: Record(header: header, payload: Bytes()).encoded()))
    }

    /// An embedded broker forgets what it holds beyond a few megabytes: appends wait until blocks have caught up.
    private func waitForLogRoom() async {
        guard let most = options.unadoptedBytesMax else { return }
        while !Task.isCancelled && stopped == nil {
            guard published.withLock({ $0.unadoptedBytes }) > most else { return }
            try? await Task.sleep(for: .milliseconds(5))
        }
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
