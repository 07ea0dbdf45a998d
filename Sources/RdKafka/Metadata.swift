import CRdKafka

/// The parts of a metadata answer that we use.
struct Metadata {
    let brokers: [Int32]
    private(set) var topicError: RdKafkaError?
    private(set) var partitions = 0
    private(set) var replicas = 0
    private(set) var leader: Int32 = -1

    init(_ handle: Handle, topic: OpaquePointer?, _ milliseconds: Int32) throws(RdKafkaError) {
        var answer: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.pointer, 0, topic, &answer, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let answer else { throw RdKafkaError(code) }
        defer { rd_kafka_metadata_destroy(answer) }
        brokers = (0..<Int(answer.pointee.broker_cnt)).map { answer.pointee.brokers[$0].id }
        guard topic != nil else { return }
        guard answer.pointee.topic_cnt == 1 else { throw RdKafkaError(.unknownTopic) }
        let found = answer.pointee.topics[0]
        if found.err != RD_KAFKA_RESP_ERR_NO_ERROR { topicError = RdKafkaError(found.err) }
        partitions = Int(found.partition_cnt)
        if partitions > 0 {
            replicas = Int(found.partitions[0].replica_cnt)
            leader = found.partitions[0].leader
        }
    }
}
