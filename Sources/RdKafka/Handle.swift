import CRdKafka

/// One `rd_kafka_t` with its main queue. The owner destroys it, on a thread that may block.
///
/// librdkafka's handles, topics and queues may be used from any thread; that is why the pointers may travel
/// (`@unchecked`). What must not outlive the handle (messages, events, queues, topics) is the owner's to end first.
struct Handle: @unchecked Sendable {
    let pointer: OpaquePointer
    let mainQueue: OpaquePointer
    private let secrets: [String]
    private let meter = Meter()

    /// Events are taken from `mainQueue`, lines of the log too: nothing calls back, nothing goes to stderr.
    init(_ type: rd_kafka_type_t, _ properties: HandleProperties) throws(RdKafkaError) {
        secrets = properties.secrets
        guard let conf = rd_kafka_conf_new() else { throw RdKafkaError(.invalidArgument, "out of memory") }
        var text = [CChar](repeating: 0, count: 512)
        do throws(RdKafkaError) {
            if let store = properties.trustStore { try Self.trust(store, conf) }
            // Sorted, so that the same wrong settings give the same message each time.
            for (name, value) in properties.values.sorted(by: { $0.key < $1.key }) {
                guard rd_kafka_conf_set(conf, name, value, &text, text.count) == RD_KAFKA_CONF_OK else {
                    throw RdKafkaError(.invalidArgument, "\(name): \(string(text))")
                }
            }
        } catch {
            rd_kafka_conf_destroy(conf)
            throw error.without(secrets)
        }
        rd_kafka_conf_set_events(
            conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS)
        guard let made = rd_kafka_new(type, conf, &text, text.count) else {
            rd_kafka_conf_destroy(conf)
            throw RdKafkaError(.invalidArgument, string(text)).without(secrets)
        }
        pointer = made
        mainQueue = rd_kafka_queue_get_main(made)
        rd_kafka_set_log_queue(made, mainQueue)
    }

    /// librdkafka opens the file with the password of the key: it stands there for as long as that takes.
    private static func trust(_ store: RdKafkaTrustStore, _ conf: OpaquePointer) throws(RdKafkaError) {
        var text = [CChar](repeating: 0, count: 512)
        guard
            rd_kafka_conf_set(conf, "ssl.key.password", store.password, &text, text.count) == RD_KAFKA_CONF_OK,
            rd_kafka_conf_set_ssl_cert(
                conf, RD_KAFKA_CERT_CA, RD_KAFKA_CERT_ENC_PKCS12, store.bytes, store.bytes.count, &text, text.count)
                == RD_KAFKA_CONF_OK
        else { throw RdKafkaError(.invalidArgument, "ssl.truststore.location: \(string(text))") }
        _ = rd_kafka_conf_set(conf, "ssl.key.password", nil, &text, text.count)
    }

    func topic(_ name: String) throws(RdKafkaError) -> OpaquePointer {
        guard let topic = rd_kafka_topic_new(pointer, name, nil) else {
            throw RdKafkaError(rd_kafka_last_error(), "topic \(name)")
        }
        return topic
    }

    func destroy() {
        rd_kafka_queue_destroy(mainQueue)
        rd_kafka_destroy(pointer)
    }

    /// Turns an error or log event into a value; nil for every other kind.
    func notice(from event: OpaquePointer) -> RdKafkaNotice? {
        switch rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_ERROR:
            if rd_kafka_event_error_is_fatal(event) != 0 {
                return RdKafkaNotice(kind: .fatal, error: fatalError() ?? RdKafkaError(.fatal))
            }
            let text = rd_kafka_event_error_string(event).map { String(cString: $0) } ?? ""
            return RdKafkaNotice(
                kind: .error, error: RdKafkaError(rd_kafka_event_error(event), text).without(secrets))
        case RD_KAFKA_EVENT_STATS:
            guard let text = rd_kafka_event_stats(event) else { return nil }
            return RdKafkaNotice(kind: .news(meter.take(String(cString: text).utf8)), error: RdKafkaError(.noError))
        case RD_KAFKA_EVENT_LOG:
            var facility: UnsafePointer<CChar>?
            var text: UnsafePointer<CChar>?
            var severity: Int32 = 0
            guard rd_kafka_event_log(event, &facility, &text, &severity) == 0, let text else { return nil }
            let line = RdKafkaError(.noError, String(cString: text)).without(secrets).message
            // A reader's errors (a topic that is gone) come as lines of this kind, not as events: the consume calls of
            // 2.0.2 write them to the log when there is no callback.
            if let facility, String(cString: facility) == "ERROR" {
                return RdKafkaNotice(kind: .error, error: RdKafkaError(Self.code(namedIn: line), line))
            }
            return RdKafkaNotice(kind: .log(severity: severity), error: RdKafkaError(.noError, line))
        default:
            return nil
        }
    }

    private static func code(namedIn line: String) -> RdKafkaError.Code {
        let codes: [RdKafkaError.Code] = [
            .unknownTopicOrPartition, .unknownPartition, .unknownTopic, .topicAuthorizationFailed,
        ]
        return codes.first { line.contains(String(cString: rd_kafka_err2str(rd_kafka_resp_err_t($0.rawValue)))) }
            ?? .failed
    }

    /// What made the handle useless, if it is.
    func fatalError() -> RdKafkaError? {
        var text = [CChar](repeating: 0, count: 512)
        let code = rd_kafka_fatal_error(pointer, &text, text.count)
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : RdKafkaError(code, string(text))
    }
}

/// The text in a buffer that a C function filled.
func string(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
