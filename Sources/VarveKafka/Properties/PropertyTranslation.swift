internal import RdKafka
internal import VarveModel

/// The work of turning what was given into what librdkafka takes. Faults are collected, not thrown: a person wants to see
/// all of them at once.
struct PropertyTranslation {
    let given: [String: GivenProperty]
    let bootstrapServers: String
    private(set) var values: [String: String] = [:]
    var trustStore: RdKafkaTrustStore?
    private(set) var faults: [String] = []
    private(set) var warnings: [String] = []
    /// Which property a value came from.
    private var origins: [String: GivenProperty] = [:]

    init(_ given: [String: GivenProperty], bootstrapServers: String) {
        self.given = given
        self.bootstrapServers = bootstrapServers
    }

    var error: VarveError {
        let count = faults.count == 1 ? "1 Kafka property" : "\(faults.count) Kafka properties"
        return VarveError(
            .configInvalid, "\(count) cannot be used: " + faults.joined(separator: "; "),
            next: "docs/configuration.md says under Kafka properties what becomes of each name")
    }

    mutating func run() {
        var ignored: [String] = []
        for property in given.values.sorted(by: { $0.name < $1.name }) {
            if property.name == "bootstrap.servers" || property.name == "metadata.broker.list" {
                if property.plainValue != bootstrapServers {
                    fault(property, "is not what bootstrapServers says; leave it out")
                }
                continue
            }
            switch PropertyRule.rule(of: property.name) {
            case .renamed(let names): for name in names { set(name, property) }
            case .changed(let name, let expected, let change):
                if let value = change(property.plainValue) {
                    set(name, value, property)
                } else {
                    fault(property, "expected \(expected)")
                }
            case .ignored: ignored.append(property.name)
            case .refused(let why): fault(property, why)
            case .grouped: break
            }
        }
        readProtocols(&ignored)
        readTrustStore(&ignored)
        readKeyStore(&ignored)
        readLogin()
        judgeSafety()
        for (name, reason) in RdKafkaSettings.faults(in: values) {
            if let origin = origins[name] { fault(origin, reason) } else { faults.append("\(name): \(reason)") }
        }
        faults.sort()
        if !ignored.isEmpty {
            warnings.insert(
                "these Kafka properties mean something only inside a Java client and are ignored: "
                    + ignored.sorted().joined(separator: ", "), at: 0)
        }
    }

    /// Whether a name is one that this table or librdkafka knows: such a name is no secret.
    static func isKnown(_ name: String) -> Bool {
        if case .renamed(let names) = PropertyRule.rule(of: name), names == [name] {
            return RdKafkaSettings.faults(in: [name: "0"]).first?.reason != "unknown property"
        }
        return true
    }

    // MARK: means

    mutating func fault(_ property: GivenProperty, _ reason: String) {
        faults.append("\(property.title): \(reason)")
    }

    /// For what is missing, which stands nowhere.
    mutating func fault(_ name: String, _ reason: String) { faults.append("\(name): \(reason)") }

    mutating func warn(_ text: String) { warnings.append(text) }

    mutating func set(_ name: String, _ property: GivenProperty) {
        let isPath = PropertyRule.paths.contains(property.name) && property.plainValue != "probe"
        set(name, isPath ? property.path : property.plainValue, property)
    }

    mutating func set(_ name: String, _ value: String, _ property: GivenProperty) {
        if let other = origins[name], values[name] != value {
            fault(property, "says something else than \(other.title)")
            return
        }
        values[name] = value
        origins[name] = property
    }

    // MARK: security as a whole

    private mutating func readProtocols(_ ignored: inout [String]) {
        for name in ["ssl.enabled.protocols", "ssl.protocol"] {
            guard let property = given[name] else { continue }
            let known = property.plainValue.split(separator: ",").map { $0.drop(while: \.isWhitespace) }
            if known.contains(where: { $0.hasPrefix("TLSv1.2") || $0.hasPrefix("TLSv1.3") || $0 == "TLS" }) {
                ignored.append(name)
            } else {
                fault(property, "expected TLSv1.2 or TLSv1.3")
            }
        }
    }

    private mutating func judgeSafety() {
        let transport = values["security.protocol"] ?? "plaintext"
        let isEncrypted = transport.hasSuffix("ssl")
        if transport.hasPrefix("sasl"), !isEncrypted {
            warn("security.protocol is SASL_PLAINTEXT: what is sent, and PLAIN's password, can be read on the way")
        }
        if !transport.hasPrefix("sasl"), values["sasl.username"] != nil {
            warn("sasl.* is not used: security.protocol is \(transport.uppercased()); SASL_SSL uses it")
        }
        if !isEncrypted, trustStore != nil || values.keys.contains(where: { $0.hasPrefix("ssl.") }) {
            warn("ssl.* is not used: security.protocol is \(transport.uppercased()); SSL and SASL_SSL use it")
        }
        if isEncrypted, values["enable.ssl.certificate.verification"] == "false" {
            warn("enable.ssl.certificate.verification is false: anybody may pose as the broker")
        } else if isEncrypted, values["ssl.endpoint.identification.algorithm"] == "none" {
            warn("ssl.endpoint.identification.algorithm is none: the brokers' host names are not checked")
        }
    }
}
