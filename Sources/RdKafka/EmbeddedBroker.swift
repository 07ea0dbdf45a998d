import CRdKafka
import Synchronization

/// librdkafka's mock cluster: the Kafka protocol over TCP on loopback, within this process.
///
/// For development, the demo and tests. It makes no topics by request (`createTopic` here does), does not de-duplicate,
/// stamps no times (readers see the producer's), and keeps about 5 MiB of a topic.
package final class EmbeddedBroker: Sendable {
    /// Cluster ids of embedded brokers begin so.
    package static let clusterIDPrefix = "mockCluster"

    package let bootstrapServers: String
    // librdkafka's mock functions take its own lock; `live` guards against use after `close`.
    private nonisolated(unsafe) let cluster: OpaquePointer
    private let handle: Handle
    private let live = Mutex(true)

    package init(brokers: Int = 1) throws(RdKafkaError) {
        handle = try Handle(RD_KAFKA_PRODUCER, HandleProperties(values: ["log_level": "0"]))
        guard let made = rd_kafka_mock_cluster_new(handle.pointer, Int32(clamping: brokers)) else {
            handle.destroy()
            throw RdKafkaError(.invalidArgument, "no embedded broker can be started")
        }
        cluster = made
        bootstrapServers = String(cString: rd_kafka_mock_cluster_bootstraps(made))
        // From this version of Metadata on the mock honours "do not create", so a missing topic is said to be missing.
        rd_kafka_mock_set_apiversion(made, 3, 0, 4)
    }

    deinit { close() }

    package func close() {
        let wasLive = live.withLock { live in
            defer { live = false }
            return live
        }
        guard wasLive else { return }
        rd_kafka_mock_cluster_destroy(cluster)
        handle.destroy()
    }

    /// A topic with one partition. That it is there already is success.
    package func createTopic(_ name: String, replication: Int = 1) throws(RdKafkaError) {
        let code = call { rd_kafka_mock_topic_create($0, name, 1, Int32(clamping: replication)) }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else {
            throw RdKafkaError(code)
        }
    }

    // MARK: faults, for tests

    /// Brokers are numbered from 1.
    package func setBroker(_ id: Int32, down: Bool) {
        _ = call { down ? rd_kafka_mock_broker_set_down($0, id) : rd_kafka_mock_broker_set_up($0, id) }
    }

    private func call(_ body: (OpaquePointer) -> rd_kafka_resp_err_t) -> rd_kafka_resp_err_t {
        live.withLock { $0 ? body(cluster) : RD_KAFKA_RESP_ERR__DESTROY }
    }
}
