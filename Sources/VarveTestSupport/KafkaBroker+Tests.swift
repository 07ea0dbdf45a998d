@_exported public import VarveHarness

/// Brokers for tests: shared ones, and ones of a test's own.
extension KafkaBroker {
    private static let sharedBroker = SharedBroker(secured: false)
    private static let sharedSecuredBroker = SharedBroker(secured: true)

    /// The broker that all tests of this process share, started when first asked for. Tests that kill one start their
    /// own. Throws when there is none; ask `KafkaAvailability.skipReason` before.
    package static func shared() async throws -> KafkaBroker { try await sharedBroker.get() }

    /// The same for one with TLS, users and rights beside its open listener. It is always our own.
    package static func sharedSecured() async throws -> KafkaBroker { try await sharedSecuredBroker.get() }

    /// A broker of one's own. `properties` go on top of the usual ones.
    package static func start(
        properties: [String: String] = [:], secured: Bool = false
    ) async throws -> KafkaBroker {
        let broker = try await formatted(properties: properties, secured: secured)
        try await broker.start()
        return broker
    }

    /// The same, not yet started. `ports` are its own and its controller's.
    static func formatted(
        properties: [String: String], secured: Bool = false, ports: [Int]? = nil
    ) async throws -> KafkaBroker {
        try await formatted(KafkaAvailability.here, properties: properties, ports: ports) { directory, all in
            guard secured else { return Extras() }
            let security = KafkaSecurity(directory: directory, ports: try freePorts(KafkaSecurity.listenersCount))
            security.extend(&all)
            try security.make()
            return Extras(formatArguments: security.formatArguments, attachment: security)
        }
    }

    /// Listeners with TLS, users and certificates; nil for a broker that lets everybody in.
    package var security: KafkaSecurity? { attachment as? KafkaSecurity }
}

/// Starts the shared broker once, however many tests ask at once.
private actor SharedBroker {
    private let secured: Bool
    private var starting: Task<KafkaBroker, any Error>?

    init(secured: Bool) { self.secured = secured }

    func get() async throws -> KafkaBroker {
        if let starting { return try await starting.value }
        let task = Task { [secured] () async throws -> KafkaBroker in
            if secured { return try await KafkaBroker.start(secured: true) }
            switch KafkaAvailability.here {
            case .running(let servers): return KafkaBroker(running: servers)
            case .distribution: return try await KafkaBroker.start()
            case .missing(let reason): throw KafkaFailure(reason)
            }
        }
        starting = task
        return try await task.value
    }
}
