// The library's side of an exchange: called on its thread (but for `clientLeft` and `abort`), never waits.

import CVarveMicroHTTPD
import Glibc
import Synchronization

extension Exchange {
    /// The header is through: a streamed request's handler begins now.
    func start() {
        guard case .stream = mode else { return }
        state.withLock { $0.task = Task { await self.run() } }
    }

    /// A piece of the body. All of it is taken: a rest left without suspending stalls.
    func receive(_ bytes: UnsafeBufferPointer<UInt8>) -> MHD_Result {
        var waiting: CheckedContinuation<Void, Never>?
        let result: MHD_Result = state.withLock { state in
            if state.isAborted { return .NO }
            if state.isAnswered || state.isTooLarge {
                state.droppedBytes += bytes.count
                return state.droppedBytes > Self.droppedBytesMax ? .NO : .YES
            }
            switch mode {
            case .collect(let maxBytes, _):
                if state.incoming.count + bytes.count > maxBytes {
                    state.isTooLarge = true
                    state.droppedBytes = state.incoming.count + bytes.count
                    state.incoming = []
                } else {
                    state.incoming.append(contentsOf: bytes)
                }
            case .stream:
                state.incoming.append(contentsOf: bytes)
                waiting = state.take(.consumer)
                if state.incoming.count >= Self.highWaterBytes { state.suspendOnce() }
            }
            return .YES
        }
        waiting?.resume()
        return result
    }

    /// The body is complete. Called again after each resume, until an answer is queued.
    func bodyEnded() -> MHD_Result {
        var waiting: CheckedContinuation<Void, Never>?
        let result: MHD_Result = state.withLock { state in
            guard !state.isAborted, let connection = state.connection else { return .NO }
            state.isBodyComplete = true
            waiting = state.take(.consumer)
            if state.isTooLarge, state.prepared == nil, case .collect(let maxBytes, _) = mode {
                state.prepared = Answer.whole(core.faultResponse(.bodyTooLarge(limit: maxBytes), head))
            }
            if let prepared = state.prepared {
                state.prepared = nil
                return Answer.queue(prepared, connection.pointer, close: core.isStopping.load(ordering: .relaxed))
            }
            if state.task == nil { state.task = Task { await self.run() } }
            state.suspendOnce()
            return .YES
        }
        waiting?.resume()
        return result
    }

    /// More of a streamed answer: a number of bytes, or -1 at its end.
    ///
    /// To cut an answer the socket is shut down and a byte returned that can no longer be sent. The library's own way,
    /// -2, leaves the connection of 0.9.75 closed but lying about until something happens to it.
    func read(into buffer: UnsafeMutablePointer<CChar>, _ room: Int) -> Int {
        var waiting: CheckedContinuation<Void, Never>?
        let result: Int? = state.withLock { state in
            if state.isAborted { return nil }
            let count = min(state.pendingBytes, room)
            if count == 0 {
                switch state.outcome {
                case .complete: return -1
                case .broken: return nil
                // Zero without suspending would be asked again at once, for ever.
                case nil:
                    state.suspendOnce()
                    return 0
                }
            }
            state.outgoing.withUnsafeBytes { bytes in
                _ = memcpy(buffer, bytes.baseAddress! + state.taken, count)
            }
            state.taken += count
            if state.taken == state.outgoing.count {
                state.outgoing = []
                state.taken = 0
            }
            if state.pendingBytes <= Self.highWaterBytes / 2 { waiting = state.take(.producer) }
            return count
        }
        waiting?.resume()
        if let result { return result }
        link.cut()
        buffer.pointee = 0
        return 1
    }

    /// The library is through with this request, well or not.
    func ended() {
        let (consumer, producer, unused, task) = state.withLock { state in
            state.connection = nil
            state.isSuspended = false
            state.isGone = true
            let unused = state.prepared
            state.prepared = nil
            // A handler whose answer is out is left alone; one that still works for nobody is told.
            let isOver = state.isAnswered && (state.outcome != nil || unused == nil && state.isBodyComplete)
            let task = isOver && state.producer == nil ? nil : state.task
            state.task = nil
            return (state.take(.consumer), state.take(.producer), unused, task)
        }
        if let unused { MHD_destroy_response(unused.pointer) }
        task?.cancel()
        consumer?.resume()
        producer?.resume()
    }

    /// Read to its end, and a handler is at work: only then a closed socket goes unseen by the library.
    var isWaitedFor: Bool {
        state.withLock { $0.isBodyComplete && $0.isSuspended && !$0.isGone }
    }

    /// The client has closed its side. The connection stays suspended until the handler, cancelled, comes back: what
    /// it answers is still tried, for a client that has only said that it will send no more.
    func clientLeft() {
        let (producer, task) = state.withLock { state in
            state.isGone = true
            return (state.take(.producer), state.task)
        }
        task?.cancel()
        producer?.resume()
    }

    /// Cuts the exchange: the library's next call into it closes the connection.
    func abort() {
        let (consumer, producer, task) = state.withLock { state in
            state.isAborted = true
            state.isGone = true
            let waiting = (state.take(.consumer), state.take(.producer), state.task)
            state.resumeIfSuspended()
            return waiting
        }
        task?.cancel()
        consumer?.resume()
        producer?.resume()
    }
}
