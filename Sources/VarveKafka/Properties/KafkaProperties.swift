internal import RdKafka
public import VarveModel

/// Properties of a Kafka client, checked and translated to librdkafka's names: what `propertiesMap` and `propertiesFile` of
/// the configuration come to. Java's names and librdkafka's may both be given; the file overrides the map, as in XTDB.
///
/// Everything that is wrong is one error that names every bad property and no value: a value may be a secret, so none
/// ever stands in a message, a description or a mirror.
public struct KafkaProperties: Sendable, Equatable {
    /// Under librdkafka's names.
    let values: [String: String]
    let trustStore: RdKafkaTrustStore?
    /// What an operator should know, in lines; names only.
    public let warnings: [String]

    public init() {
        values = [:]
        trustStore = nil
        warnings = []
    }

    /// Reads and checks. Nothing is sent; certificates are opened.
    /// - Parameters:
    ///   - map: properties of the configuration itself; files they name start at `directory`.
    ///   - file: a file in the syntax of `java.util.Properties`; files it names start at its own directory.
    ///   - bootstrapServers: those of the configuration, which a property may repeat and not change.
    /// - Throws: `CONFIG_INVALID` naming every bad property.
    public init(
        map: [String: String] = [:], directory: String = "", file: String? = nil, bootstrapServers: String
    ) throws(VarveError) {
        var given: [String: GivenProperty] = [:]
        for (name, value) in map {
            given[name] = GivenProperty(name: name, value: value, place: "propertiesMap", directory: directory)
        }
        if let file {
            for property in try GivenProperty.all(inFile: file) { given[property.name] = property }
        }
        var translation = PropertyTranslation(given, bootstrapServers: bootstrapServers)
        translation.run()
        guard translation.faults.isEmpty else { throw translation.error }
        values = translation.values
        trustStore = translation.trustStore
        warnings = translation.warnings
        do throws(RdKafkaError) {
            try RdKafkaSettings(bootstrapServers: bootstrapServers, properties: values, trustStore: trustStore).tryOut()
        } catch {
            throw VarveError(.configInvalid, "the Kafka properties cannot be used: \(error.message)")
        }
    }

    /// For a client of these servers.
    func client(_ bootstrapServers: String) throws(RdKafkaError) -> RdKafkaSettings {
        try RdKafkaSettings(bootstrapServers: bootstrapServers, properties: values, trustStore: trustStore)
    }

    /// The mechanism a broker is asked to know us by; nil without SASL.
    var mechanism: String? {
        values["security.protocol"]?.hasPrefix("sasl") ?? false ? values["sasl.mechanism"] ?? "GSSAPI" : nil
    }
}

extension KafkaProperties: CustomStringConvertible, CustomReflectable {
    public var description: String { values.keys.sorted().joined(separator: ", ") }
    public var customMirror: Mirror { Mirror(self, children: ["names": values.keys.sorted()]) }
}

/// One property as an operator wrote it.
struct GivenProperty: Sendable {
    var name: String
    var value: String
    /// `propertiesMap`, or file and line.
    var place: String
    /// Where a relative path starts; empty, or with a slash at its end.
    var directory: String

    /// A properties file is a page, not a data set.
    static let fileBytesMax = 1 << 20

    static func all(inFile path: String) throws(VarveError) -> [GivenProperty] {
        let bytes: [UInt8]
        let parsed: JavaProperties
        do throws(SmallFile.Failure) {
            bytes = try SmallFile.read(path, bytesMax: fileBytesMax)
        } catch {
            throw VarveError(.configInvalid, "the properties file \(path) cannot be read: \(error.reason)")
        }
        do throws(JavaProperties.Fault) {
            parsed = try JavaProperties(bytes)
        } catch {
            throw VarveError(
                .configInvalid, "the properties file \(path) cannot be read: \(error.reason)",
                at: "\(path):\(error.line)")
        }
        let slash = path.utf8.lastIndex(of: 0x2f)
        let directory = slash.map { String(path[...$0]) } ?? ""
        let file = slash.map { String(path[path.index(after: $0)...]) } ?? path
        return parsed.entries.map { entry in
            GivenProperty(name: entry.name, value: entry.value, place: "\(file):\(entry.line)", directory: directory)
        }
    }

    /// How a message names it. What has not the looks of a name may be a part of a secret that a broken line left alone.
    var title: String {
        let looksLikeName =
            name.contains(".") && !value.isEmpty && name.utf8.count <= 100
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
                default: false
                }
            }
        return looksLikeName || PropertyTranslation.isKnown(name) ? "\(name) (\(place))" : "what stands at \(place)"
    }

    /// White space around a value means nothing, but in a secret.
    var plainValue: String {
        RdKafkaSettings.isSecret(name) ? value : String(value.drop(while: \.isWhitespace).reversedTrim)
    }

    /// The value as a path.
    var path: String {
        let value = plainValue
        return value.hasPrefix("/") ? value : directory + (value.hasPrefix("./") ? value.dropFirst(2) : value[...])
    }
}

extension Substring {
    fileprivate var reversedTrim: Substring {
        var text = self
        while text.last?.isWhitespace ?? false { text.removeLast() }
        return text
    }
}
