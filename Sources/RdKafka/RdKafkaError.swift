import CRdKafka

/// What librdkafka or the broker said: a code, its name and the text that went with it.
package struct RdKafkaError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A code of librdkafka: negative ones are the client's own, positive ones came from the broker.
    package struct Code: RawRepresentable, Hashable, Sendable {
        package let rawValue: Int32
        package init(rawValue: Int32) { self.rawValue = rawValue }

        package static let noError = Code(rawValue: 0)
        package static let offsetOutOfRange = Code(rawValue: 1)
        package static let unknownTopicOrPartition = Code(rawValue: 3)
        package static let messageSizeTooLarge = Code(rawValue: 10)
        package static let topicException = Code(rawValue: 17)
        package static let topicAuthorizationFailed = Code(rawValue: 29)
        package static let groupAuthorizationFailed = Code(rawValue: 30)
        package static let clusterAuthorizationFailed = Code(rawValue: 31)
        package static let topicAlreadyExists = Code(rawValue: 36)
        package static let invalidReplicationFactor = Code(rawValue: 38)
        package static let invalidConfig = Code(rawValue: 40)
        package static let saslAuthenticationFailed = Code(rawValue: 58)

        package static let badMessage = Code(rawValue: -199)
        package static let destroyed = Code(rawValue: -197)
        package static let failed = Code(rawValue: -196)
        package static let transport = Code(rawValue: -195)
        package static let resolve = Code(rawValue: -193)
        package static let partitionEOF = Code(rawValue: -191)
        package static let unknownPartition = Code(rawValue: -190)
        package static let unknownTopic = Code(rawValue: -188)
        package static let allBrokersDown = Code(rawValue: -187)
        package static let invalidArgument = Code(rawValue: -186)
        package static let timedOut = Code(rawValue: -185)
        package static let queueFull = Code(rawValue: -184)
        package static let ssl = Code(rawValue: -181)
        package static let authentication = Code(rawValue: -169)
        package static let purgedQueue = Code(rawValue: -152)
        package static let fatal = Code(rawValue: -150)
        package static let autoOffsetReset = Code(rawValue: -140)

        /// librdkafka's own name of the code, as its documentation lists it.
        package var name: String {
            String(cString: rd_kafka_err2name(rd_kafka_resp_err_t(rawValue)))
        }
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String = "") {
        self.code = code
        self.message = message.isEmpty ? String(cString: rd_kafka_err2str(rd_kafka_resp_err_t(code.rawValue))) : message
    }

    init(_ code: rd_kafka_resp_err_t, _ message: String = "") {
        self.init(Code(rawValue: code.rawValue), message)
    }

    package var description: String { "\(code.name): \(message)" }

    /// The same with every secret struck out, wherever it came from.
    func without(_ secrets: [String]) -> RdKafkaError {
        secrets.contains(where: message.contains)
            ? RdKafkaError(
                code,
                secrets.reduce(message) { text, secret in
                    text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
                })
            : self
    }

    /// The broker refused: a right is missing, or who we are was not accepted. A person must act.
    package var isDenial: Bool {
        switch code {
        case .topicAuthorizationFailed, .groupAuthorizationFailed, .clusterAuthorizationFailed,
            .saslAuthenticationFailed, .authentication:
            true
        default: false
        }
    }

    /// Who we are was not accepted; no right would help.
    package var isCredentials: Bool { code == .saslAuthenticationFailed || code == .authentication }

    /// Of librdkafka as it is loaded.
    package static var libraryVersion: String { String(cString: rd_kafka_version_str()) }

    /// Versions before 2.6.1 leave out a check that Kafka 4 insists on, and are told that the password is wrong.
    package static var speaksSCRAMToKafka4: Bool { rd_kafka_version() >= 0x0206_01ff }

    /// The topic (or its only partition) is not there.
    package var isMissingTopic: Bool {
        switch code {
        case .unknownTopicOrPartition, .unknownPartition, .unknownTopic: true
        default: false
        }
    }
}

/// Something a handle said without being asked: an error event or a line of its log.
package struct RdKafkaNotice: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case error
        /// The handle is of no more use.
        case fatal
        /// Severity as syslog counts: 3 error, 4 warning, 6 information.
        case log(severity: Int32)
        /// What happened since the last one of these.
        case news(RdKafkaNews)
    }
    package let kind: Kind
    package let error: RdKafkaError
}
