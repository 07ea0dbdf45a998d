import CRdKafka

/// Questions about a cluster and its topics, each with a deadline; nothing is changed by them.
extension Admin {
    package func clusterID(withinMilliseconds limit: Int) async throws(RdKafkaError) -> String {
        try await ask(limit) { [self] handle, left throws(RdKafkaError) in
            while true {
                if let id = rd_kafka_clusterid(handle.pointer, min(left(), 200)) {
                    defer { rd_kafka_mem_free(handle.pointer, id) }
                    return String(cString: id)
                }
                // Who is not let in, or finds nobody at any address, need not wait for the deadline.
                takeEvents()
                let (error, nobody) = complaint
                if let error, nobody || error.isDenial || error.code == .ssl { throw error }
                guard left() > 1 else { throw RdKafkaError(.timedOut) }
            }
        }
    }

    package func brokers(withinMilliseconds limit: Int) async throws(RdKafkaError) -> [Int32] {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            let metadata = try Metadata(handle, topic: nil, left())
            return metadata.brokers
        }
    }

    /// nil when there is no such topic. Never creates one.
    package func topic(_ name: String, withinMilliseconds limit: Int) async throws(RdKafkaError) -> Topic? {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            let topic = try handle.topic(name)
            defer { rd_kafka_topic_destroy(topic) }
            // Just after its creation a topic may have no leader yet.
            while true {
                let metadata = try Metadata(handle, topic: topic, left())
                switch metadata.topicError {
                case nil where metadata.partitions > 0 && metadata.leader >= 0:
                    return Topic(
                        partitions: metadata.partitions, replicas: metadata.replicas, brokers: metadata.brokers.count,
                        leader: metadata.leader)
                case let error? where error.isMissingTopic: return nil
                case let error? where error.isDenial || left() < 100: throw error
                case nil where left() < 100: throw RdKafkaError(.timedOut, "topic \(name) has no leader")
                default: pause(milliseconds: 50)
                }
            }
        }
    }

    /// First offset held and next offset to be given. The returned code is checked first: the elements of a failed call
    /// say "no error" with nonsense in them.
    package func range(of name: String, withinMilliseconds limit: Int) async throws(RdKafkaError) -> Range<Int64> {
        try await ask(limit) { handle, left throws(RdKafkaError) in
            let start = try offset(handle, name, for: Int64(RD_KAFKA_OFFSET_BEGINNING), left)
            let end = try offset(handle, name, for: Int64(RD_KAFKA_OFFSET_END), left)
            return start..<max(start, end)
        }
    }

    /// Offset of the first record that is not older than `time`, in ms since 1970; nil when there is none. One question.
    package func firstOffset(
        of name: String, notBefore time: Int64, withinMilliseconds limit: Int
    ) async throws(RdKafkaError) -> Int64? {
        // Negative times have other meanings.
        guard time >= 0 else { return nil }
        return try await ask(limit) { handle, left throws(RdKafkaError) in
            let found = try answer(handle, name, for: time, left)
            return found < 0 ? nil : found
        }
    }

    /// Records with offsets in `range`, from its start, until there are `recordsMax` or `bytesMax` is passed. Ends early
    /// at the log's end; holes are no error.
    /// - Throws: `autoOffsetReset` when the log does not hold the range's start.
    package func read(
        _ name: String, _ range: Range<Int64>, recordsMax: Int = .max, bytesMax: Int = 4 << 20,
        withinMilliseconds limit: Int
    ) async throws(RdKafkaError) -> [RdKafkaRecord] {
        guard !range.isEmpty else { return [] }
        return try await ask(limit) { handle, left throws(RdKafkaError) in
            try shortRead(handle, name, range, recordsMax: recordsMax, bytesMax: bytesMax, left)
        }
    }
}

private func offset(
    _ handle: Handle, _ name: String, for time: Int64, _ left: () -> Int32
) throws(RdKafkaError) -> Int64 {
    let found = try answer(handle, name, for: time, left)
    guard found >= 0 else { throw RdKafkaError(.timedOut, "no offset in the answer") }
    return found
}

/// A topic just made may have a leader that does not know it yet: asked again for a moment.
private func answer(
    _ handle: Handle, _ name: String, for time: Int64, _ left: () -> Int32
) throws(RdKafkaError) -> Int64 {
    guard let list = rd_kafka_topic_partition_list_new(1) else { throw RdKafkaError(.invalidArgument, "out of memory") }
    defer { rd_kafka_topic_partition_list_destroy(list) }
    rd_kafka_topic_partition_list_add(list, name, 0)
    var triesLeft = 20
    while true {
        list.pointee.elems[0].offset = time
        list.pointee.elems[0].err = RD_KAFKA_RESP_ERR_NO_ERROR
        let code = rd_kafka_offsets_for_times(handle.pointer, list, left())
        let element = list.pointee.elems[0]
        // The call says it, or the element.
        let isLeaderless = [code, element.err].contains(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
        if isLeaderless, triesLeft > 0, left() > 100 {
            triesLeft -= 1
            pause(milliseconds: 50)
            continue
        }
        // Only the broker's own answers (positive codes) stand in the element; the client leaves "in progress" there.
        if element.err.rawValue > 0 { throw RdKafkaError(element.err) }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw RdKafkaError(code) }
        return element.offset
    }
}

private func shortRead(
    _ handle: Handle, _ name: String, _ range: Range<Int64>, recordsMax: Int, bytesMax: Int,
    _ left: () -> Int32
) throws(RdKafkaError) -> [RdKafkaRecord] {
    let topic = try handle.topic(name)
    let queue = rd_kafka_queue_new(handle.pointer)
    var started = false
    defer {
        if started { rd_kafka_consume_stop(topic, 0) }
        rd_kafka_queue_destroy(queue)
        rd_kafka_topic_destroy(topic)
    }
    guard rd_kafka_consume_start_queue(topic, 0, range.lowerBound, queue) == 0 else {
        throw RdKafkaError(rd_kafka_last_error())
    }
    started = true
    var records: [RdKafkaRecord] = []
    var bytes = 0
    while true {
        guard let message = rd_kafka_consume_queue(queue, left()) else {
            if left() > 1 { continue }
            throw RdKafkaError(.timedOut)
        }
        defer { rd_kafka_message_destroy(message) }
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            guard range.contains(message.pointee.offset) else { return records }
            records.append(RdKafkaRecord(message))
            bytes += message.pointee.len
            if records.count >= recordsMax || bytes > bytesMax || message.pointee.offset + 1 >= range.upperBound {
                return records
            }
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            return records
        case let code:
            throw RdKafkaError(code, rd_kafka_message_errstr(message).map { String(cString: $0) } ?? "")
        }
    }
}
