/// The bytes of a properties file without what they are for: for tools that look whether any bytes can harm.

package enum PropertyInspection {
    /// Reads the file's syntax, and each value as a login module's line. Whether the file was accepted.
    package static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let properties = try? JavaProperties(bytes) else { return false }
        for entry in properties.entries { _ = try? JaasConfiguration(entry.value) }
        return true
    }
}
