package import VarveHarness

/// A broker with two ways to it: directly, and through a `NetworkProxy`. A client that begins on one stays on it.
package struct ProxiedBroker: Sendable {
    package let broker: KafkaBroker
    package let proxy: NetworkProxy
    /// Through the proxy.
    package let proxied: String
    /// Past it.
    package var direct: String { broker.bootstrapServers }

    package static func start(properties: [String: String] = [:]) async throws -> ProxiedBroker {
        let ports = try freePorts(4)
        var all = [
            "listeners":
                "PLAINTEXT://127.0.0.1:\(ports[0]),CONTROLLER://127.0.0.1:\(ports[1]),FAR://127.0.0.1:\(ports[2])",
            "advertised.listeners": "PLAINTEXT://127.0.0.1:\(ports[0]),FAR://127.0.0.1:\(ports[3])",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,FAR:PLAINTEXT",
        ]
        all.merge(properties) { _, given in given }
        let broker = try await KafkaBroker.formatted(properties: all, ports: [ports[0], ports[1]])
        try await broker.start()
        return ProxiedBroker(
            broker: broker, proxy: try NetworkProxy(port: ports[3], target: ports[2]),
            proxied: "127.0.0.1:\(ports[3])")
    }
}
