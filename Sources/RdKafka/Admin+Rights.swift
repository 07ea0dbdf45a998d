import CRdKafka

/// A right on topics (access control list) of brokers that have an authorizer.
package struct RdKafkaRight: Sendable, Hashable {
    package enum Operation: Sendable, Hashable {
        case read, write, create, describe, describeConfigs

        fileprivate var code: rd_kafka_AclOperation_t {
            switch self {
            case .read: RD_KAFKA_ACL_OPERATION_READ
            case .write: RD_KAFKA_ACL_OPERATION_WRITE
            case .create: RD_KAFKA_ACL_OPERATION_CREATE
            case .describe: RD_KAFKA_ACL_OPERATION_DESCRIBE
            case .describeConfigs: RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS
            }
        }
    }

    /// `User:name`.
    package var principal: String
    package var operation: Operation
    /// On every topic whose name begins so.
    package var topicPrefix: String

    package init(_ principal: String, _ operation: Operation, topicPrefix: String) {
        self.principal = principal
        self.operation = operation
        self.topicPrefix = topicPrefix
    }

    /// Makes what the client's library calls a binding, or a filter that fits just it: both are told the same.
    fileprivate typealias Maker =
        @Sendable (
            rd_kafka_ResourceType_t, UnsafePointer<CChar>?, rd_kafka_ResourcePatternType_t, UnsafePointer<CChar>?,
            UnsafePointer<CChar>?, rd_kafka_AclOperation_t, rd_kafka_AclPermissionType_t, UnsafeMutablePointer<CChar>?,
            Int
        ) -> OpaquePointer?

    /// Whoever calls destroys it.
    fileprivate func made(by make: Maker) throws(RdKafkaError) -> OpaquePointer {
        var text = [CChar](repeating: 0, count: 512)
        guard
            let made = make(
                RD_KAFKA_RESOURCE_TOPIC, topicPrefix, RD_KAFKA_RESOURCE_PATTERN_PREFIXED, principal, "*",
                operation.code, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, &text, text.count)
        else { throw RdKafkaError(.invalidArgument, string(text)) }
        return made
    }
}

/// Granting and withdrawing rights: what drills and tests do to a broker.
extension Admin {
    package func grant(_ rights: [RdKafkaRight], withinMilliseconds limit: Int) async throws(RdKafkaError) {
        try await ask(
            rights, limit, RD_KAFKA_ADMIN_OP_CREATEACLS, rd_kafka_AclBinding_new,
            send: { rd_kafka_CreateAcls($0, $1, 1, $2, $3) },
            read: { event throws(RdKafkaError) in
                var count = 0
                let result = rd_kafka_event_CreateAcls_result(event)
                guard let found = rd_kafka_CreateAcls_result_acls(result, &count), count == 1 else { return }
                guard let error = rd_kafka_acl_result_error(found[0]) else { return }
                let code = rd_kafka_error_code(error)
                if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                    throw RdKafkaError(code, String(cString: rd_kafka_error_string(error)))
                }
            })
    }

    package func withdraw(_ rights: [RdKafkaRight], withinMilliseconds limit: Int) async throws(RdKafkaError) {
        try await ask(
            rights, limit, RD_KAFKA_ADMIN_OP_DELETEACLS, rd_kafka_AclBindingFilter_new,
            send: { rd_kafka_DeleteAcls($0, $1, 1, $2, $3) }, read: { _ in })
    }

    /// One request for each right, about what `make` makes of it.
    private func ask(
        _ rights: [RdKafkaRight], _ limit: Int, _ operation: rd_kafka_admin_op_t, _ make: @escaping RdKafkaRight.Maker,
        send:
            @escaping @Sendable (
                _ client: OpaquePointer, _ made: UnsafeMutablePointer<OpaquePointer?>, _ options: OpaquePointer?,
                _ queue: OpaquePointer?
            ) -> Void,
        read: @escaping @Sendable (_ event: OpaquePointer) throws(RdKafkaError) -> Void
    ) async throws(RdKafkaError) {
        for right in rights {
            try await ask(limit) { handle, left throws(RdKafkaError) in
                let made = try right.made(by: make)
                // A filter is a binding to the library, too.
                defer { rd_kafka_AclBinding_destroy(made) }
                try answer(handle, operation, left) { options, queue in
                    var all: [OpaquePointer?] = [made]
                    send(handle.pointer, &all, options, queue)
                } read: { event throws(RdKafkaError) in
                    try read(event)
                }
            }
        }
    }
}
