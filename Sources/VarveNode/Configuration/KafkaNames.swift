/// What a topic and a list of brokers may look like: in a configuration, and on a command line.

extension KafkaLogConfiguration {
    package static let topicExpected = "a topic name: at most 240 of letters, digits, '.', '_' and '-'"
    package static let serversExpected = "host:port, several separated by commas"

    /// Kafka allows 249 bytes; `-e32767` must fit behind the name.
    package static func isTopic(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 240 && name.utf8.allSatisfy(isNameByte)
    }

    package static func isServerList(_ text: String) -> Bool {
        text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { server in
            guard let colon = server.lastIndex(of: ":"), colon != server.startIndex,
                let port = UInt16(server[server.index(after: colon)...]), port > 0
            else { return false }
            return !server.contains(" ")
        }
    }
}
