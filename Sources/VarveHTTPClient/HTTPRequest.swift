package struct HTTPRequest: Sendable {
    package enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Asked for pieces until it gives nil; not asked faster than the server takes them. Without a length it is
        /// sent in chunks. It cannot be sent twice, so a kept connection that turns out to be closed is a fault.
        case stream(length: Int?, @Sendable () async throws -> [UInt8]?)
    }

    package var method: String
    /// `http://` or `https://`, escapes as they are to be sent.
    package var url: String
    package var headers: [(name: String, value: String)]
    package var body: Body
    /// For the whole of it, to the end of the answer.
    package var timeout: Duration?
    package var connectTimeout: Duration
    /// Bounds an answer that is collected.
    package var maxAnswerBytes: Int

    package init(
        _ method: String = "GET", _ url: String, headers: [(name: String, value: String)] = [], body: Body = .none,
        timeout: Duration? = .seconds(60), connectTimeout: Duration = .seconds(5), maxAnswerBytes: Int = 64 << 20
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.maxAnswerBytes = maxAnswerBytes
    }
}

package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: ResponseHeaders
    package var body: [UInt8]
}

/// The header lines of an answer as they came; looked through when asked.
package struct ResponseHeaders: Sendable {
    var block: [UInt8] = []

    /// The value of the first header of that name, whatever its case.
    package subscript(name: String) -> String? {
        all.first { $0.name.utf8.elementsEqual(name.utf8, by: { Self.lowercased($0) == Self.lowercased($1) }) }?.value
    }

    package var all: [(name: String, value: String)] {
        block.split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
            let value = line[(colon + 1)...].drop(while: Self.isBlank)
            let end = value.lastIndex(where: { !Self.isBlank($0) }).map { $0 + 1 } ?? value.startIndex
            return (
                String(decoding: line[..<colon], as: UTF8.self),
                String(decoding: value[value.startIndex..<end], as: UTF8.self)
            )
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
    private static func lowercased(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
}
