// Ports for what is started on this machine.

import Glibc
package import VarveModel

/// Ports of loopback that nobody listens on. They are all held while being chosen, so they differ; and below those that
/// the system gives to whoever asks for any, so that no connection takes one before it is used.
package func freePorts(_ count: Int) throws(VarveError) -> [Int] {
    var sockets: [Int32] = []
    defer { for socket in sockets { close(socket) } }
    var ports: [Int] = []
    for _ in 0..<1_000 {
        if ports.count == count { return ports }
        let port = UInt16.random(in: 10_240..<32_000)
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        sockets.append(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if isBound { ports.append(Int(port)) }
    }
    throw VarveError(.internal, "no port of this machine is free")
}
