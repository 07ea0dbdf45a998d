// Listening sockets of our own: the library is started without one (see Doorkeeper).

// The library's header brings the socket types along, and the compiler may take them to be its own.
import CVarveMicroHTTPD
import Glibc

struct Listener {
    let descriptors: [Int32]
    let port: UInt16

    /// Binds every address of `host` (`localhost` has two). Port 0 takes a free one, the same for all.
    init(host: String, port: UInt16, backlog: Int32) throws(HTTPServerError) {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let list else {
            throw .addressUnavailable(host: host, port: port, reason: String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }

        var open: [Int32] = []
        var bound = port
        var failure: Int32 = 0
        for entry in sequence(first: list, next: { $0.pointee.ai_next }) {
            switch Self.bind(entry.pointee, port: bound, backlog: backlog) {
            case .success(let descriptor):
                open.append(descriptor)
                if bound == 0 { bound = Self.port(of: descriptor) }
            case .failure(let error):
                failure = error.code
                // Without IPv6 on the machine `localhost` still has its other address. A taken port is a fault also
                // when only one of two addresses is taken, but not when the number was free to choose.
                if failure == EADDRINUSE, port != 0 {
                    for descriptor in open { close(descriptor) }
                    throw .addressInUse(host: host, port: port)
                }
            }
        }
        guard !open.isEmpty else {
            throw .addressUnavailable(host: host, port: port, reason: String(cString: strerror(failure)))
        }
        descriptors = open
        self.port = bound
    }

    private struct SystemError: Error { var code: Int32 }

    private static func bind(_ entry: addrinfo, port: UInt16, backlog: Int32) -> Result<Int32, SystemError> {
        let descriptor = socket(
            entry.ai_family, entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue),
            entry.ai_protocol)
        guard descriptor >= 0 else { return .failure(SystemError(code: errno)) }
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        // A server that is started again need not wait for the old connections' TIME_WAIT.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
        if entry.ai_family == AF_INET6 { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, size) }
        var address = sockaddr_storage()
        withUnsafeMutableBytes(of: &address) { bytes in
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen)))
            // The port lies at the same place in both families.
            bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
        }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, entry.ai_addrlen)
            }
        }
        guard bound == 0, listen(descriptor, backlog) == 0 else {
            let error = SystemError(code: errno)
            close(descriptor)
            return .failure(error)
        }
        return .success(descriptor)
    }

    private static func port(of descriptor: Int32) -> UInt16 {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
        }
        return withUnsafeBytes(of: &address) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
    }
}
