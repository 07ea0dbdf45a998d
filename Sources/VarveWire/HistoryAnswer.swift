/// `GET …/rows/{id}/history`: all versions of a document, newest first.

package import VarveModel

package struct HistoryAnswer: Sendable {
    package struct Version: Sendable {
        /// The position that wrote it.
        package var version: Position
        package var systemFrom: Instant
        /// nil for the newest.
        package var systemTo: Instant?
        /// The document with its `_id`; nil where the version is a deletion.
        package var document: Value?

        package init(version: Position, systemFrom: Instant, systemTo: Instant?, document: Value?) {
            self.version = version
            self.systemFrom = systemFrom
            self.systemTo = systemTo
            self.document = document
        }
    }

    package var versions: [Version]

    package static let limitDefault = 100
    package static let limitMax = 10_000

    package init(versions: [Version]) { self.versions = versions }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        versions = []
        for var version in try fields.objects("versions") {
            let isDeleted = try version.bool("deleted")
            versions.append(
                Version(
                    version: try version.position("version"), systemFrom: try version.instant("systemFrom"),
                    systemTo: try version.optionalInstant("systemTo"),
                    document: isDeleted ? nil : version.value("doc")))
        }
    }

    package var json: Value {
        .fields([
            "versions": .array(
                versions.map {
                    .fields([
                        "version": .text(of: $0.version), "systemFrom": .text(of: $0.systemFrom),
                        "systemTo": $0.systemTo.map { .text(of: $0) } ?? .null, "deleted": .bool($0.document == nil),
                        "doc": $0.document ?? .null,
                    ])
                })
        ])
    }
}

/// Names of our headers.
package enum WireHeader {
    /// The applied position at which was read, on every read, 404 included.
    package static let position = "Varve-Position"
    package static let token = "Varve-Token"
    /// Milliseconds since the node last knew that it had applied everything.
    package static let age = "Varve-Age-Ms"
    /// With `asOf`: the position it came to.
    package static let asOf = "Varve-As-Of"
    /// On a row: the position that wrote it, and since when it holds.
    package static let version = "Varve-Version"
    package static let systemFrom = "Varve-System-From"
    /// 32 hexadecimal digits.
    package static let loadID = "Varve-Load-Id"
}
