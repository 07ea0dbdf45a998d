/// What a broker, or what is put before it, cannot do.
package struct KafkaFailure: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
