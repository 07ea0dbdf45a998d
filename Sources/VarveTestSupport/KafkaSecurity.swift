import VarveHarness
import Foundation
import RdKafka

/// What a broker for tests has beside its open listener: TLS with certificates made on the spot by `openssl`, users, and an
/// authorizer that lets nobody do anything who was not granted it. The open listener's anonymous user may do everything.
package struct KafkaSecurity: Sendable {
    /// A user with a password that would be noticed anywhere, and that is not simple to write.
    package struct User: Sendable {
        package let name: String
        package let password: String

        package init(name: String, password: String) {
            self.name = name
            self.password = password
        }

        /// As a Java client would write it.
        package func login(_ module: String) -> String {
            let escaped = password.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return "org.apache.kafka.common.security.\(module) required username=\"\(name)\" password=\"\(escaped)\";"
        }

        package var plainLogin: String { login("plain.PlainLoginModule") }
        package var scramLogin: String { login("scram.ScramLoginModule") }
        package var principal: String { "User:\(name)" }
    }

    /// By password (PLAIN).
    package static let alice = User(name: "alice", password: "s3cr3t,al=ice;pw")
    package static let bob = User(name: "bob", password: "s3cr3t-bob")
    /// By password (SCRAM-SHA-256).
    package static let carol = User(name: "carol", password: "s3cr3t-carol")
    /// By certificate.
    package static let certifiedPrincipal = "User:CN=node-1"
    /// The pass phrase of all stores.
    package static let storePassword = "s3cr3t-store"

    static let listenersCount = 3

    package let directory: String
    /// `host:port` of each listener.
    package let saslServers: String
    package let tlsServers: String
    /// With a certificate of another host.
    package let misnamedServers: String

    init(directory: String, ports: [Int]) {
        self.directory = directory
        saslServers = "127.0.0.1:\(ports[0])"
        tlsServers = "127.0.0.1:\(ports[1])"
        misnamedServers = "127.0.0.1:\(ports[2])"
    }

    /// The authority's certificate.
    package var authority: String { "\(directory)/ca.pem" }
    /// An authority that signed nothing here.
    package var stranger: String { "\(directory)/stranger.pem" }
    /// Key and certificate of a client, in one file.
    package var client: String { "\(directory)/client.pem" }
    package var clientStore: String { "\(directory)/client.p12" }

    package func contents(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    // MARK: making them

    func make() throws {
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for name in ["ca", "stranger"] {
            try openssl(
                ["req", "-x509", "-days", "2", "-subj", "/CN=\(name)"] + key + [
                    "-keyout", "\(name).key", "-out", "\(name).pem",
                ])
        }
        for (name, subject, alternative) in [
            ("broker", "localhost", "DNS:localhost,IP:127.0.0.1"), ("misnamed", "elsewhere", "DNS:elsewhere"),
            ("client", "node-1", "DNS:node-1"),
        ] {
            try openssl(["req", "-subj", "/CN=\(subject)"] + key + ["-keyout", "\(name).key", "-out", "\(name).csr"])
            try Data("subjectAltName=\(alternative)".utf8).write(to: URL(filePath: "\(directory)/\(name).ext"))
            try openssl([
                "x509", "-req", "-days", "2", "-in", "\(name).csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial",
                "-extfile", "\(name).ext", "-out", "\(name).crt",
            ])
            let parts = try ["\(name).key", "\(name).crt", "ca.pem"].map { try contents("\(directory)/\($0)") }
            try Data(parts.joined().utf8).write(to: URL(filePath: "\(directory)/\(name).pem"))
        }
        try openssl([
            "pkcs12", "-export", "-in", "client.pem", "-out", "client.p12", "-passout", "pass:\(Self.storePassword)",
        ])
    }

    /// A trust store as Java's own tool writes it; nil when there is no such tool.
    package func makeTrustStore() throws -> String? {
        let candidates = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map {
            "\($0)/keytool"
        }
        guard let tool = candidates.first(where: FileManager.default.isExecutableFile(atPath:)) else { return nil }
        let path = "\(directory)/trust.jks"
        try run(
            tool,
            [
                "-importcert", "-noprompt", "-alias", "ca", "-file", authority, "-keystore", path, "-storetype",
                "PKCS12",
                "-storepass", Self.storePassword,
            ])
        return path
    }

    private func openssl(_ arguments: [String]) throws { try run("/usr/bin/env", ["openssl"] + arguments) }

    private func run(_ tool: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: tool)
        process.arguments = arguments
        process.currentDirectoryURL = URL(filePath: directory)
        let pipe = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw KafkaFailure("\(tool) fails:\n" + String(decoding: output, as: UTF8.self))
        }
    }

    // MARK: the broker's side

    func extend(_ properties: inout [String: String]) {
        let extra = "SASL_SSL://\(saslServers),SSL://\(tlsServers),MISNAMED://\(misnamedServers)"
        properties["listeners", default: ""] += "," + extra
        properties["advertised.listeners", default: ""] += "," + extra
        properties["listener.security.protocol.map", default: ""] += ",SASL_SSL:SASL_SSL,SSL:SSL,MISNAMED:SSL"
        properties.merge(
            [
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
                "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
                "listener.name.sasl_ssl.ssl.keystore.location": "\(directory)/broker.pem",
                "listener.name.sasl_ssl.plain.sasl.jaas.config":
                    "org.apache.kafka.common.security.plain.PlainLoginModule required "
                    + [Self.alice, Self.bob].map { "user_\($0.name)=\"\($0.password)\"" }.joined(separator: " ") + ";",
                "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config":
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                "listener.name.ssl.ssl.keystore.type": "PEM",
                "listener.name.ssl.ssl.keystore.location": "\(directory)/broker.pem",
                "listener.name.ssl.ssl.truststore.type": "PEM",
                "listener.name.ssl.ssl.truststore.location": authority,
                "listener.name.ssl.ssl.client.auth": "required",
                "listener.name.misnamed.ssl.keystore.type": "PEM",
                "listener.name.misnamed.ssl.keystore.location": "\(directory)/misnamed.pem",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            ]) { _, ours in ours }
    }

    var formatArguments: [String] {
        ["--add-scram", "SCRAM-SHA-256=[name=\(Self.carol.name),password=\(Self.carol.password)]"]
    }
}
