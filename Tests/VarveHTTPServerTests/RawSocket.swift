// A client of bytes: what a test sends is on the wire as it is, what comes back is read as it is. Every call runs on a
// thread of its own, because a blocked thread of the pool would be one that the server's handlers need.

import Dispatch
import Glibc

final class RawSocket: Sendable {
    let descriptor: Int32

    init(port: UInt16, receiveBufferBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var bytes = receiveBufferBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        // A test that would hang says what it saw instead.
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if code != 0 { throw Refused(code: errno) }
    }

    struct Refused: Error { var code: Int32 }

    deinit { close(descriptor) }

    /// False when the other side is closed.
    @discardableResult
    func send(_ bytes: [UInt8]) async -> Bool {
        await onThread { [descriptor] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
                if count <= 0 { return false }
                sent += count
            }
            return true
        }
    }

    @discardableResult
    func send(_ text: String) async -> Bool { await send(Array(text.utf8)) }

    /// What comes until `end` is seen, `bytesMax` are there, or the other side closes.
    func read(until end: String? = nil, bytesMax: Int = .max) async -> String {
        String(decoding: await readBytes(until: end, bytesMax: bytesMax), as: UTF8.self)
    }

    func readBytes(until end: String? = nil, bytesMax: Int = .max) async -> [UInt8] {
        await onThread { [descriptor] in
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 64 * 1024)
            while bytes.count < bytesMax {
                let count = recv(descriptor, &buffer, min(buffer.count, bytesMax - bytes.count), 0)
                if count <= 0 { break }
                bytes += buffer[..<count]
                if let end, String(decoding: bytes, as: UTF8.self).contains(end) { break }
            }
            return bytes
        }
    }

    /// A close that the other side sees as a reset.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    func shutDownSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends all of it and reads to the end of the connection.
    static func talk(_ port: UInt16, _ text: String) async throws -> String {
        try await talk(port, Array(text.utf8))
    }

    static func statuses(_ port: UInt16, _ text: String) async throws -> [Int] {
        VarveHTTPServerTests.statuses(try await talk(port, text))
    }

    static func statuses(_ port: UInt16, _ bytes: [UInt8]) async throws -> [Int] {
        VarveHTTPServerTests.statuses(try await talk(port, bytes))
    }

    static func talk(_ port: UInt16, _ bytes: [UInt8]) async throws -> String {
        let socket = try RawSocket(port: port)
        await socket.send(bytes)
        return await socket.read()
    }
}

func onThread<T: Sendable>(_ work: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
        DispatchQueue(label: "raw socket").async { continuation.resume(returning: work()) }
    }
}

/// Status of each answer in what came over a connection.
func statuses(_ text: String) -> [Int] {
    text.split(separator: "HTTP/1.1 ", omittingEmptySubsequences: false).dropFirst().compactMap { Int($0.prefix(3)) }
}
