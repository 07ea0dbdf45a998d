// Which nodes a client speaks to, and how patient it is.

package import VarveModel

public struct ClientOptions: Sendable {
    /// `http://host:port`, in the order of preference.
    public var urls: [String]
    /// Sent as `Authorization: Bearer …`. A secret: in no message and no description.
    public var token: String?
    /// How long a call goes on trying after a node was reached once and then was lost, or is not ready.
    /// A client that never reached any node says so after one round.
    public var patience: Duration
    /// How long one answer may take to begin, beyond what the request itself asks the node to wait.
    public var answerTimeout: Duration

    /// Told why before a call tries again or waits to.
    package var onWait: (@Sendable (VarveError) -> Void)?

    public static let defaultURL = "http://127.0.0.1:8080"

    public init(
        urls: [String] = [Self.defaultURL], token: String? = nil, patience: Duration = .seconds(30),
        answerTimeout: Duration = .seconds(30)
    ) {
        self.urls = urls
        self.token = token
        self.patience = patience
        self.answerTimeout = answerTimeout
    }
}

extension ClientOptions {
    /// Whether a client would take it.
    package static func isURL(_ text: String) -> Bool { (try? NodeURL(text)) != nil }
}

/// `http://host:port[/prefix]`, without a slash at the end.
struct NodeURL: Sendable, Equatable {
    let text: String

    /// Throws `BAD_REQUEST` with what is wrong.
    init(_ text: String) throws(VarveError) {
        let isHTTP = text.lowercased().hasPrefix("http://") || text.lowercased().hasPrefix("https://")
        let rest = text.drop { $0 != ":" }.dropFirst(3)
        let isVisible = text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        guard isHTTP, isVisible, let host = rest.split(separator: "/").first, !rest.hasPrefix("/"),
            !host.hasPrefix(":"),
            !rest.contains("?"), !rest.contains("#"), !host.contains("@")
        else {
            throw VarveError(
                .badRequest, "\"\(text)\" is no URL of a node", next: "write it like \(ClientOptions.defaultURL)")
        }
        self.text = text.hasSuffix("/") ? String(text.dropLast()) : text
    }
}
