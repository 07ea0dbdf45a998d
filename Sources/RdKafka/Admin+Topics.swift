import CRdKafka

/// Making, deleting and describing topics. The embedded broker serves none of these: they time out.
extension Admin {
    /// Makes a topic with one partition and waits until the broker that answers us knows it too (the controller is ahead
    /// of it).
    /// - Parameters:
    ///   - replication: copies; nil is the broker's default.
    ///   - partitions: more than one is no log.
    /// - Throws: `topicAlreadyExists`, `invalidReplicationFactor`, `invalidConfig` (its text names the key),
    ///   `topicException` (a bad name), `topicAuthorizationFailed`, `timedOut`.
    package func createTopic(
        _ name: String, replication: Int?, partitions: Int = 1, configuration: [String: String] = [:],
        withinMilliseconds limit: Int
    ) async throws(RdKafkaError) {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            var text = [CChar](repeating: 0, count: 512)
            guard
                let topic = rd_kafka_NewTopic_new(
                    name, Int32(clamping: partitions), Int32(clamping: replication ?? -1), &text, text.count)
            else { throw RdKafkaError(.invalidArgument, string(text)) }
            defer { rd_kafka_NewTopic_destroy(topic) }
            for (key, value) in configuration.sorted(by: { $0.key < $1.key }) {
                let code = rd_kafka_NewTopic_set_config(topic, key, value)
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw RdKafkaError(code, key) }
            }
            try answer(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS, left) { options, queue in
                var topics: [OpaquePointer?] = [topic]
                rd_kafka_CreateTopics(handle.pointer, &topics, 1, options, queue)
            } read: { event throws(RdKafkaError) in
                var count = 0
                let results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
                try check(results, count)
            }
            try wait(handle, name, exists: true, left)
        }
    }

    /// Returns when the broker that answers us has let go of the name.
    /// - Throws: `unknownTopicOrPartition` when there is none.
    package func deleteTopic(_ name: String, withinMilliseconds limit: Int) async throws(RdKafkaError) {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            guard let topic = rd_kafka_DeleteTopic_new(name) else { throw RdKafkaError(.invalidArgument, name) }
            defer { rd_kafka_DeleteTopic_destroy(topic) }
            try answer(handle, RD_KAFKA_ADMIN_OP_DELETETOPICS, left) { options, queue in
                var topics: [OpaquePointer?] = [topic]
                rd_kafka_DeleteTopics(handle.pointer, &topics, 1, options, queue)
            } read: { event throws(RdKafkaError) in
                var count = 0
                let results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)
                try check(results, count)
            }
            try wait(handle, name, exists: false, left)
        }
    }

    /// Deletes the records below an offset (as retention would).
    package func deleteRecords(
        _ name: String, below offset: Int64, withinMilliseconds limit: Int
    ) async throws(RdKafkaError) {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            guard let list = rd_kafka_topic_partition_list_new(1) else { throw RdKafkaError(.invalidArgument) }
            defer { rd_kafka_topic_partition_list_destroy(list) }
            rd_kafka_topic_partition_list_add(list, name, 0).pointee.offset = offset
            guard let request = rd_kafka_DeleteRecords_new(list) else { throw RdKafkaError(.invalidArgument) }
            defer { rd_kafka_DeleteRecords_destroy(request) }
            try answer(handle, RD_KAFKA_ADMIN_OP_DELETERECORDS, left) { options, queue in
                var requests: [OpaquePointer?] = [request]
                rd_kafka_DeleteRecords(handle.pointer, &requests, 1, options, queue)
            } read: { event throws(RdKafkaError) in
                let result = rd_kafka_event_DeleteRecords_result(event)
                guard let offsets = rd_kafka_DeleteRecords_result_offsets(result) else { return }
                let element = offsets.pointee.elems[0]
                if element.err != RD_KAFKA_RESP_ERR_NO_ERROR { throw RdKafkaError(element.err) }
            }
        }
    }

    /// Sets a topic's settings: those that are not given fall back to the broker's defaults.
    package func setConfiguration(
        ofTopic name: String, _ configuration: [String: String], withinMilliseconds limit: Int
    ) async throws(RdKafkaError) {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            guard let resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name) else {
                throw RdKafkaError(.invalidArgument, name)
            }
            defer { rd_kafka_ConfigResource_destroy(resource) }
            for (key, value) in configuration { _ = rd_kafka_ConfigResource_set_config(resource, key, value) }
            try answer(handle, RD_KAFKA_ADMIN_OP_ALTERCONFIGS, left) { options, queue in
                var resources: [OpaquePointer?] = [resource]
                rd_kafka_AlterConfigs(handle.pointer, &resources, 1, options, queue)
            } read: { event throws(RdKafkaError) in
                var count = 0
                let result = rd_kafka_event_AlterConfigs_result(event)
                guard let found = rd_kafka_AlterConfigs_result_resources(result, &count), count == 1 else { return }
                let code = rd_kafka_ConfigResource_error(found[0])
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    throw RdKafkaError(
                        code, rd_kafka_ConfigResource_error_string(found[0]).map { String(cString: $0) } ?? "")
                }
            }
        }
    }

    /// All settings of a topic in force, defaults included.
    /// - Throws: `topicAuthorizationFailed` without the right to see them, which is not the right to read the topic.
    package func configuration(
        ofTopic name: String, withinMilliseconds limit: Int
    ) async throws(RdKafkaError) -> [String: String] {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            guard let resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name) else {
                throw RdKafkaError(.invalidArgument, name)
            }
            defer { rd_kafka_ConfigResource_destroy(resource) }
            var values: [String: String] = [:]
            try answer(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, left) { options, queue in
                var resources: [OpaquePointer?] = [resource]
                rd_kafka_DescribeConfigs(handle.pointer, &resources, 1, options, queue)
            } read: { event throws(RdKafkaError) in
                var count = 0
                let result = rd_kafka_event_DescribeConfigs_result(event)
                guard let found = rd_kafka_DescribeConfigs_result_resources(result, &count), count == 1 else { return }
                let code = rd_kafka_ConfigResource_error(found[0])
                if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                    let text = rd_kafka_ConfigResource_error_string(found[0]).map { String(cString: $0) } ?? ""
                    throw RdKafkaError(code, text)
                }
                var entries = 0
                guard let all = rd_kafka_ConfigResource_configs(found[0], &entries) else { return }
                for entry in UnsafeBufferPointer(start: all, count: entries) {
                    guard let value = rd_kafka_ConfigEntry_value(entry) else { continue }
                    values[String(cString: rd_kafka_ConfigEntry_name(entry))] = String(cString: value)
                }
            }
            return values
        }
    }
}

/// Sends one administrative request and reads its answer on a queue of its own.
func answer(
    _ handle: Handle, _ operation: rd_kafka_admin_op_t, _ left: () -> Int32,
    ask: (_ options: OpaquePointer?, _ queue: OpaquePointer?) -> Void,
    read: (_ event: OpaquePointer) throws(RdKafkaError) -> Void
) throws(RdKafkaError) {
    let options = rd_kafka_AdminOptions_new(handle.pointer, operation)
    let queue = rd_kafka_queue_new(handle.pointer)
    defer {
        rd_kafka_AdminOptions_destroy(options)
        rd_kafka_queue_destroy(queue)
    }
    rd_kafka_AdminOptions_set_request_timeout(options, left(), nil, 0)
    ask(options, queue)
    // librdkafka keeps the request's deadline itself; a little more is for its answer.
    guard let event = rd_kafka_queue_poll(queue, left() + 1_000) else { throw RdKafkaError(.timedOut) }
    defer { rd_kafka_event_destroy(event) }
    let code = rd_kafka_event_error(event)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw RdKafkaError(code, rd_kafka_event_error_string(event).map { String(cString: $0) } ?? "")
    }
    try read(event)
}

private func wait(
    _ handle: Handle, _ name: String, exists: Bool, _ left: () -> Int32
) throws(RdKafkaError) {
    let topic = try handle.topic(name)
    defer { rd_kafka_topic_destroy(topic) }
    while true {
        let found = try Metadata(handle, topic: topic, left())
        let isThere = found.topicError == nil && found.leader >= 0
        let isMissing = found.topicError?.isMissingTopic ?? false
        if exists ? isThere : isMissing { return }
        guard left() > 100 else { throw RdKafkaError(.timedOut) }
        pause(milliseconds: 20)
    }
}

/// Throws what the broker said of the one topic that was asked for.
private func check(
    _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int
) throws(RdKafkaError) {
    guard let results, count == 1 else { throw RdKafkaError(.invalidArgument, "the answer names no topic") }
    let code = rd_kafka_topic_result_error(results[0])
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw RdKafkaError(code, rd_kafka_topic_result_error_string(results[0]).map { String(cString: $0) } ?? "")
    }
}
