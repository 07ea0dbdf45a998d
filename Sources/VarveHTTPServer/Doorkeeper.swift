// The thread that lets connections in, watches over them, and stops the library.
//
// The library is started without a listening socket, because taking one away from it under load panics
// (`MHD_quiesce_daemon` with a thread pool, 0.9.75). Four times a second this thread cuts headers that do not come to
// their end, which the library's own timeout (silence) does not see, and looks for clients that have gone while a
// handler is at work. It stops the library only when no connection is left: stopping it with a suspended one aborts
// the process.

import CVarveMicroHTTPD
import Glibc
import Synchronization

final class Doorkeeper: Sendable {
    private struct State {
        var stop: UInt64?
        var isFinished = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// `@unchecked`: the daemon's functions used here are thread-safe; it is stopped once, by this thread.
    private struct Daemon: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    let port: UInt16
    private let core: ServerCore
    private let daemon: Daemon
    private let listener: Listener
    private let wakeRead: Int32
    private let wakeWrite: Int32
    private let state = Mutex(State())

    private static let tickNanoseconds: UInt64 = 250_000_000
    /// While stopping, connections end in milliseconds.
    private static let stoppingTickNanoseconds: UInt64 = 5_000_000

    /// POLLRDHUP, which glibc's module does not show.
    private static let closedByPeer: Int16 = 0x2000

    init(_ core: ServerCore) throws(HTTPServerError) {
        let options = core.options
        listener = try Listener(host: options.host, port: options.port, backlog: options.backlog)
        port = listener.port
        self.core = core
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            let reason = String(cString: strerror(errno))
            for descriptor in listener.descriptors { close(descriptor) }
            throw .failed(reason: reason)
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        wakeRead = ends[0]
        wakeWrite = ends[1]
        // The library needs room for its own bookkeeping of as many headers beside the block itself.
        let memory = max(32 * 1024, 2 * options.maxHeaderBytes)
        let silence = UInt32(max(1, min(options.idleTimeout.components.seconds, 1_000_000)))
        guard
            let pointer = varve_mhd_start(
                Unmanaged.passUnretained(core).toOpaque(), Callbacks.handler, Callbacks.target, Callbacks.completed,
                Callbacks.connection, UInt32(max(1, options.threads)), UInt32(max(1, options.maxConnections)), memory,
                silence)
        else {
            for descriptor in listener.descriptors + ends { close(descriptor) }
            throw .failed(reason: "libmicrohttpd gave no daemon")
        }
        daemon = Daemon(pointer: pointer)
    }

    /// The thread keeps the doorkeeper, and through it everything the library points at, until the library is stopped.
    func start() throws(HTTPServerError) {
        var thread = pthread_t()
        let owner = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { owner in
                guard let owner else { return nil }
                let doorkeeper = Unmanaged<Doorkeeper>.fromOpaque(owner).takeRetainedValue()
                doorkeeper.run()
                return nil
            }, owner.toOpaque())
        guard code == 0 else {
            owner.release()
            MHD_stop_daemon(daemon.pointer)
            for descriptor in listener.descriptors + [wakeRead, wakeWrite] { close(descriptor) }
            throw .failed(reason: String(cString: strerror(code)))
        }
        pthread_detach(thread)
    }

    /// Asks for the end; the shortest grace of several callers counts.
    func requestStop(grace: Duration) {
        let deadline = Clock.now() &+ Clock.nanoseconds(grace)
        state.withLock { state in
            if state.isFinished { return }
            state.stop = min(state.stop ?? .max, deadline)
            var byte: UInt8 = 1
            _ = write(wakeWrite, &byte, 1)
        }
    }

    func finished() async {
        await withCheckedContinuation { continuation in
            let isFinished = state.withLock { state in
                if !state.isFinished { state.waiting.append(continuation) }
                return state.isFinished
            }
            if isFinished { continuation.resume() }
        }
    }

    // MARK: - The thread

    private func run() {
        var tick = Clock.now()
        while true {
            var polled = listener.descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            polled.append(pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0))
            let now = Clock.now()
            poll(&polled, nfds_t(polled.count), tick > now ? Int32((tick - now) / 1_000_000 + 1) : 0)
            for entry in polled.dropLast() where entry.revents != 0 { acceptSome(entry.fd) }
            if Clock.now() >= tick {
                watch()
                tick = Clock.now() &+ Self.tickNanoseconds
            }
            if let deadline = state.withLock({ $0.stop }) {
                stop(by: deadline)
                return
            }
        }
    }

    /// A bounded number, so that the watch is kept under a flood of connections.
    private func acceptSome(_ listening: Int32) {
        for _ in 0..<64 {
            var address = sockaddr_storage()
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    varve_accept(listening, $0, &size)
                }
            }
            guard descriptor >= 0 else {
                // Out of descriptors: the connection stays in the queue and would wake us at once again.
                if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM { usleep(20_000) }
                return
            }
            guard core.links.withLock({ $0.count }) < core.options.maxConnections else {
                refuse(descriptor)
                continue
            }
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = MHD_add_connection(daemon.pointer, descriptor, $0, size)
                }
            }
        }
    }

    /// One connection too many: told so as far as that costs nothing.
    private func refuse(_ descriptor: Int32) {
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        _ = answer.utf8.withContiguousStorageIfAvailable {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
        shutdown(descriptor, Int32(SHUT_WR))
        close(descriptor)
    }

    private func watch() {
        let links = core.links.withLock { Array($0.values) }
        let now = Clock.now()
        var watched: [Link] = []
        var polled: [pollfd] = []
        for link in links {
            link.shutDownIfLate(now)
            if let descriptor = link.watched() {
                watched.append(link)
                polled.append(pollfd(fd: descriptor, events: Self.closedByPeer, revents: 0))
            }
        }
        guard !polled.isEmpty, poll(&polled, nfds_t(polled.count), 0) > 0 else { return }
        for (link, entry) in zip(watched, polled) where entry.revents != 0 { link.clientLeft(entry.fd) }
    }

    private func stop(by first: UInt64) {
        for descriptor in listener.descriptors { close(descriptor) }
        core.isStopping.store(true, ordering: .releasing)
        var tick: UInt64 = 0
        while true {
            let now = Clock.now()
            if now >= state.withLock({ $0.stop ?? first }) { core.isAborting.store(true, ordering: .releasing) }
            let links = core.links.withLock { Array($0.values) }
            if links.isEmpty {
                // A connection that is let in only now finds the flag set at its first request; one that came before
                // is among the links.
                core.isAborting.store(true, ordering: .sequentiallyConsistent)
                if core.links.withLock({ $0.isEmpty }) { break }
            }
            if core.isAborting.load(ordering: .relaxed) {
                for link in links { link.abort() }
            } else {
                for link in links { link.shutDownIfIdle() }
            }
            if now >= tick {
                watch()
                tick = now &+ Self.tickNanoseconds
            }
            usleep(UInt32(Self.stoppingTickNanoseconds / 1_000))
        }
        MHD_stop_daemon(daemon.pointer)
        let waiting = state.withLock { state in
            state.isFinished = true
            close(wakeRead)
            close(wakeWrite)
            let waiting = state.waiting
            state.waiting = []
            return waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
