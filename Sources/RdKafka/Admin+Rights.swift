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
}

/// Granting and withdrawing rights: what drills and tests do to a broker.
extension Admin {
    package func grant(_ rights: [RdKafkaRight], withinMilliseconds limit: Int) async throws(RdKafkaError) {
        for right in rights {
            try await ask(limit) { handle, left throws(RdKafkaError) in
                var text = [CChar](repeating: 0, count: 512)
                guard
                    let binding = rd_kafka_AclBinding_new(
                        RD_KAFKA_RESOURCE_TOPIC, right.topicPrefix, RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
                        right.principal, "*", right.operation.code, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, &text,
                        text.count)
                else { throw RdKafkaError(.invalidArgument, string(text)) }
                defer { rd_kafka_AclBinding_destroy(binding) }
                try answer(handle, RD_KAFKA_ADMIN_OP_CREATEACLS, left) { options, queue in
                    var bindings: [OpaquePointer?] = [binding]
                    rd_kafka_CreateAcls(handle.pointer, &bindings, 1, options, queue)
                } read: { event throws(RdKafkaError) in
                    var count = 0
                    let result = rd_kafka_event_CreateAcls_result(event)
                    guard let found = rd_kafka_CreateAcls_result_acls(result, &count), count == 1 else { return }
                    guard let error = rd_kafka_acl_result_error(found[0]) else { return }
                    let code = rd_kafka_error_code(error)
                    if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                        throw RdKafkaError(code, String(cString: rd_kafka_error_string(error)))
                    }
                }
            }
        }
    }

    package func withdraw(_ rights: [RdKafkaRight], withinMilliseconds limit: Int) async throws(RdKafkaError) {
        for right in rights {
            try await ask(limit) { handle, left throws(RdKafkaError) in
                var text = [CChar](repeating: 0, count: 512)
                guard
                    let filter = rd_kafka_AclBindingFilter_new(
                        RD_KAFKA_RESOURCE_TOPIC, right.topicPrefix, RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
                        right.principal, "*", right.operation.code, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, &text,
                        text.count)
                else { throw RdKafkaError(.invalidArgument, string(text)) }
                defer { rd_kafka_AclBinding_destroy(filter) }
                try answer(handle, RD_KAFKA_ADMIN_OP_DELETEACLS, left) { options, queue in
                    var filters: [OpaquePointer?] = [filter]
                    rd_kafka_DeleteAcls(handle.pointer, &filters, 1, options, queue)
                } read: { _ in
                }
            }
        }
    }
}
