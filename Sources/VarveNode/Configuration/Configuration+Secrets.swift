// What is printed, logged or looked at in a debugger by accident shows no secret: values of Kafka properties, the token.

extension KafkaLogConfiguration: CustomStringConvertible, CustomReflectable {
    public var description: String { "Kafka at \(bootstrapServers), topics \(topic)-e<epoch>" }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "bootstrapServers": bootstrapServers, "topic": topic, "autoCreateTopic": autoCreateTopic,
                "replicationFactor": replicationFactor as Any, "pollDuration": pollDuration, "epoch": epoch as Any,
                "allowWeakLog": allowWeakLog, "propertiesFile": propertiesFile as Any,
                "propertiesMap": propertiesMap.keys.sorted(), "clusters": clusters,
            ])
    }
}

extension KafkaClusterConfiguration: CustomStringConvertible, CustomReflectable {
    public var description: String { "Kafka at \(bootstrapServers)" }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "bootstrapServers": bootstrapServers, "propertiesFile": propertiesFile as Any,
                "propertiesMap": propertiesMap.keys.sorted(),
            ])
    }
}

extension HTTPConfiguration: CustomStringConvertible, CustomReflectable {
    public var description: String { "\(host):\(port)\(token == nil ? "" : ", with a token")" }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "host": host, "port": port, "hasToken": token != nil, "maxBodyBytes": maxBodyBytes,
                "maxHeaderBytes": maxHeaderBytes, "headerTimeout": headerTimeout, "idleTimeout": idleTimeout,
                "maxConnections": maxConnections, "maxConcurrentRequests": maxConcurrentRequests,
                "maxResultBytes": maxResultBytes,
            ])
    }
}
