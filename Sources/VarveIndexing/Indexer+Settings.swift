/// A change of the replicated settings: a record like others, that every node applies at the same place.

internal import VarveCore
package import VarveModel

extension Indexer {
    /// Appends the settings and reads them back: answers where. Throws what `barrier` throws.
    package func apply(
        _ settings: Settings, until deadline: ContinuousClock.Instant
    ) async throws(VarveError) -> Position {
        var payload = CBORWriter()
        settings.encode(to: &payload)
        return try await pass(.settings, Bytes(payload.bytes), until: deadline)
    }
}
