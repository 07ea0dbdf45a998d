/// The replicated settings: what every node must agree on, because blocks follow from it.
///
/// Set by the genesis, changed only by a settings record, copied into every new genesis. A node whose configuration
/// differs says so and follows the log.

public struct Settings: Sendable, Equatable {
    /// A block is cut at this many decided submissions …
    public var transactionsPerBlock: UInt64
    /// … or document versions …
    public var rowsPerBlock: UInt64
    /// … or bytes of uncompressed payload …
    public var bytesPerBlock: UInt64
    /// … or when this much effective time has passed since its first record.
    public var flushDurationMs: UInt64
    /// How many submission ids are remembered at most, and for how long in effective time.
    public var idsRemembered: UInt64
    public var idsRememberedMs: UInt64

    public init(
        transactionsPerBlock: UInt64 = 100_000, rowsPerBlock: UInt64 = 102_400,
        bytesPerBlock: UInt64 = 32 * 1024 * 1024, flushDurationMs: UInt64 = 4 * 3600 * 1000,
        idsRemembered: UInt64 = 1_000_000, idsRememberedMs: UInt64 = 24 * 3600 * 1000
    ) {
        self.transactionsPerBlock = transactionsPerBlock
        self.rowsPerBlock = rowsPerBlock
        self.bytesPerBlock = bytesPerBlock
        self.flushDurationMs = flushDurationMs
        self.idsRemembered = idsRemembered
        self.idsRememberedMs = idsRememberedMs
    }

    /// `{0: transactions, 1: rows, 2: bytes, 3: flush ms, 4: ids, 5: ids ms}`
    package func encode(to writer: inout CBORWriter) {
        let fields = [
            transactionsPerBlock, rowsPerBlock, bytesPerBlock, flushDurationMs, idsRemembered, idsRememberedMs,
        ]
        writer.map(fields.count)
        for (key, value) in fields.enumerated() {
            writer.unsigned(key)
            writer.unsigned(value)
        }
    }

    package static func decode(_ reader: inout CBORReader) throws(CBORFault) -> Settings {
        guard try reader.map() == 6 else { throw reader.fault("no settings") }
        var values: [UInt64] = []
        for key in 0..<6 {
            guard try reader.unsigned() == UInt64(key) else { throw reader.fault("no settings") }
            values.append(try reader.unsigned())
        }
        guard values.allSatisfy({ $0 > 0 && $0 <= UInt64(Int64.max) }) else { throw reader.fault("a setting of 0") }
        return Settings(
            transactionsPerBlock: values[0], rowsPerBlock: values[1], bytesPerBlock: values[2],
            flushDurationMs: values[3], idsRemembered: values[4], idsRememberedMs: values[5])
    }
}
