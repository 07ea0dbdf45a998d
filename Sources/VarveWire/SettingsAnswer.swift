/// `GET /v1/settings` and `POST /v1/settings`: what every node of the database follows, and a change of it.

package import VarveModel

/// What is to change; what is nil stays.
package struct SettingsRequest: Sendable, Equatable {
    package var rowsPerBlock: UInt64?
    package var transactionsPerBlock: UInt64?
    package var bytesPerBlock: UInt64?
    package var flushDuration: Duration?
    package var idsRemembered: UInt64?
    package var idsRememberedFor: Duration?

    package init() {}

    /// Throws `BAD_REQUEST` with the place of the fault; the limits are those of the configuration.
    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .request)
        rowsPerBlock = try fields.optional("rowsPerBlock", Self.countExpected, Self.count)
        transactionsPerBlock = try fields.optional("transactionsPerBlock", Self.countExpected, Self.count)
        bytesPerBlock = try fields.optional("bytesPerBlock", "an integer of at least 1024", Self.bytes)
        flushDuration = try fields.optional("flushDuration", Self.durationExpected, Self.duration)
        idsRemembered = try fields.optional("idsRemembered", Self.countExpected, Self.count)
        idsRememberedFor = try fields.optional("idsRememberedFor", Self.durationExpected, Self.duration)
        try fields.finish()
        if isEmpty {
            throw VarveError(.badRequest, "nothing is to change: name at least one setting", next: "GET /v1/settings")
        }
    }

    package var isEmpty: Bool { self == SettingsRequest() }

    package var json: Value {
        .fields([
            "rowsPerBlock": rowsPerBlock.map { .integer(Int64($0)) },
            "transactionsPerBlock": transactionsPerBlock.map { .integer(Int64($0)) },
            "bytesPerBlock": bytesPerBlock.map { .integer(Int64($0)) },
            "flushDuration": flushDuration.map { .text(isoText(of: $0)) },
            "idsRemembered": idsRemembered.map { .integer(Int64($0)) },
            "idsRememberedFor": idsRememberedFor.map { .text(isoText(of: $0)) },
        ])
    }

    /// `settings` with these changes.
    package func applied(to settings: Settings) -> Settings {
        Settings(
            transactionsPerBlock: transactionsPerBlock ?? settings.transactionsPerBlock,
            rowsPerBlock: rowsPerBlock ?? settings.rowsPerBlock,
            bytesPerBlock: bytesPerBlock ?? settings.bytesPerBlock,
            flushDurationMs: flushDuration.map(milliseconds(of:)) ?? settings.flushDurationMs,
            idsRemembered: idsRemembered ?? settings.idsRemembered,
            idsRememberedMs: idsRememberedFor.map(milliseconds(of:)) ?? settings.idsRememberedMs)
    }

    package static let countMax: UInt64 = 100_000_000
    package static let bytesMin: UInt64 = 1024
    private static let countExpected = "an integer from 1 to \(countMax)"
    private static let durationExpected = "a duration of at least a millisecond, like PT4H"

    private static func count(_ value: Value) -> UInt64? {
        value.asCount.flatMap { (1...countMax).contains(UInt64($0)) ? UInt64($0) : nil }
    }

    private static func bytes(_ value: Value) -> UInt64? {
        value.asCount.flatMap { UInt64($0) >= bytesMin ? UInt64($0) : nil }
    }

    private static func duration(_ value: Value) -> Duration? {
        value.asText.flatMap { VarveModel.duration(fromISO: $0) }.flatMap { $0 >= .milliseconds(1) ? $0 : nil }
    }

}

/// Of a duration that is not negative.
private func milliseconds(of duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    return UInt64(seconds) * 1000 + UInt64(attoseconds / 1_000_000_000_000_000)
}

package struct SettingsAnswer: Sendable, Equatable {
    /// In force at `position`, on every node.
    package var settings: Settings
    /// What the answering node's configuration would like.
    package var configured: Settings
    package var position: Position
    /// Of a change: whether anything was different, so that a settings record was appended.
    package var isChanged: Bool?

    package init(settings: Settings, configured: Settings, position: Position, isChanged: Bool? = nil) {
        self.settings = settings
        self.configured = configured
        self.position = position
        self.isChanged = isChanged
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        var inForce = try fields.object("settings")
        settings = try Settings(&inForce)
        var wanted = try fields.object("configured")
        configured = try Settings(&wanted)
        position = try fields.position("position")
        isChanged = try fields.optionalBool("changed")
    }

    package var json: Value {
        .fields([
            "settings": settings.json, "configured": configured.json, "position": .text(of: position),
            "changed": isChanged.map { .bool($0) },
        ])
    }
}

extension Settings {
    /// Under their names in JSON and on the command line, as text, in the order in which they are shown.
    package var named: [(name: String, value: Value)] {
        [
            ("rowsPerBlock", .integer(Int64(clamping: rowsPerBlock))),
            ("transactionsPerBlock", .integer(Int64(clamping: transactionsPerBlock))),
            ("bytesPerBlock", .integer(Int64(clamping: bytesPerBlock))),
            ("flushDuration", .text(isoText(of: .milliseconds(Int64(clamping: flushDurationMs))))),
            ("idsRemembered", .integer(Int64(clamping: idsRemembered))),
            ("idsRememberedFor", .text(isoText(of: .milliseconds(Int64(clamping: idsRememberedMs))))),
        ]
    }

    var json: Value { .object(named.map { Value.Field($0.name, $0.value) }) }

    /// Names of the settings in which `other` is different.
    package func differences(from other: Settings) -> [String] {
        zip(named, other.named).filter { $0.value != $1.value }.map(\.0.name)
    }

    init(_ fields: inout WireFields) throws(VarveError) {
        func milliseconds(_ value: Value) -> UInt64? {
            value.asText.flatMap { duration(fromISO: $0) }.map(VarveWire.milliseconds(of:))
        }
        self.init(
            transactionsPerBlock: UInt64(try fields.count("transactionsPerBlock")),
            rowsPerBlock: UInt64(try fields.count("rowsPerBlock")),
            bytesPerBlock: UInt64(try fields.count("bytesPerBlock")),
            flushDurationMs: try fields.required("flushDuration", "a duration", milliseconds),
            idsRemembered: UInt64(try fields.count("idsRemembered")),
            idsRememberedMs: try fields.required("idsRememberedFor", "a duration", milliseconds))
    }
}
