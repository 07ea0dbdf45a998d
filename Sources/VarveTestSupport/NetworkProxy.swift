import VarveHarness
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A network between a client and a broker that a test can make slow, deaf or cut: a TCP proxy on loopback.
///
/// The broker must advertise the proxy's port. Every connection has two threads that copy; each looks at the weather
/// before it passes bytes on.
package final class NetworkProxy: Sendable {
    package enum Weather: Sendable, Equatable {
        case clear
        /// Every piece of at most 16 KiB is late by this much.
        case slow(milliseconds: Int)
        /// Nothing passes and nobody is told: connections stay open, new ones too.
        case still
        /// Requests pass, answers do not: what the client sends arrives, and it never learns that.
        case deaf
        /// Connections are closed, new ones refused.
        case cut
    }

    package let port: Int
    private let target: Int
    private let listener: Int32
    private struct State {
        var weather = Weather.clear
        var open: Set<Int32> = []
        var closed = false
    }
    private let state = Mutex(State())

    /// - Parameters:
    ///   - port: to listen on; `freePorts` finds one.
    ///   - target: the port on loopback to pass everything to.
    package init(port: Int, target: Int) throws {
        self.port = port
        self.target = target
        listener = try Self.makeSocket()
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound = Self.withLoopback(port) { bind(listener, $0, $1) == 0 && listen(listener, 64) == 0 }
        guard bound else {
            Self.end(listener)
            throw KafkaFailure("the proxy's port is taken")
        }
        Thread.detachNewThread { [self] in accept() }
    }

    package func become(_ weather: Weather) {
        let ended = state.withLock { state in
            state.weather = weather
            return weather == .cut ? state.open : []
        }
        for descriptor in ended { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    package func close() {
        become(.cut)
        state.withLock { $0.closed = true }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private var weather: Weather { state.withLock { $0.weather } }

    private func accept() {
        while !state.withLock({ $0.closed }) {
            let client = Self.accept(listener)
            guard client >= 0 else { continue }
            guard weather != .cut, let server = try? Self.makeSocket() else {
                Self.end(client)
                continue
            }
            guard Self.withLoopback(target, { connect(server, $0, $1) == 0 }) else {
                Self.end(client)
                Self.end(server)
                continue
            }
            state.withLock { $0.open.formUnion([client, server]) }
            // Each end is closed when both directions are done with it.
            let left = Counter()
            for (from, to, isAnswer) in [(client, server, false), (server, client, true)] {
                Thread.detachNewThread { [self] in
                    copy(from, to, isAnswer: isAnswer)
                    shutdown(from, Int32(SHUT_RDWR))
                    shutdown(to, Int32(SHUT_RDWR))
                    guard left.isLast() else { return }
                    state.withLock { $0.open.subtract([client, server]) }
                    Self.end(client)
                    Self.end(server)
                }
            }
        }
        Self.end(listener)
    }

    private final class Counter: Sendable {
        private let count = Mutex(2)
        func isLast() -> Bool {
            count.withLock { count in
                count -= 1
                return count == 0
            }
        }
    }

    private func copy(_ from: Int32, _ to: Int32, isAnswer: Bool) {
        withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) { buffer in
            while true {
                let count = recv(from, buffer.baseAddress, buffer.count, 0)
                guard count > 0 else { return }
                if case .slow(let milliseconds) = weather { usleep(UInt32(milliseconds) * 1_000) }
                while weather == .still || isAnswer && weather == .deaf { usleep(10_000) }
                if weather == .cut { return }
                var sent = 0
                while sent < count {
                    let written = send(to, buffer.baseAddress! + sent, count - sent, Int32(MSG_NOSIGNAL))
                    guard written > 0 else { return }
                    sent += written
                }
            }
        }
    }

    // MARK: sockets

    private static func makeSocket() throws -> Int32 {
        #if canImport(Glibc)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        guard descriptor >= 0 else { throw KafkaFailure("no socket") }
        return descriptor
    }

    private static func accept(_ listener: Int32) -> Int32 {
        #if canImport(Glibc)
            Glibc.accept(listener, nil, nil)
        #else
            Darwin.accept(listener, nil, nil)
        #endif
    }

    private static func end(_ descriptor: Int32) {
        #if canImport(Glibc)
            _ = Glibc.close(descriptor)
        #else
            _ = Darwin.close(descriptor)
        #endif
    }

    private static func withLoopback<R>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
