/// Everything about a request but its body.
package struct Head: Sendable {
    package enum Version: Sendable { case http10, http11 }

    /// As it came: methods are case-sensitive, and any token may be one.
    package let method: String
    /// As it came, undecoded; bytes that are not UTF-8 are replaced (then `pathSegments` is nil).
    package let rawTarget: String
    /// Split at `/`, then each decoded once. Nil when an escape is broken or not UTF-8, or when the target has no path
    /// (`*`): 400. `/` has no segment, `/a/` has two.
    package let pathSegments: [String]?
    /// Split at `&` and `=`, then decoded; `+` is itself. Nil when an escape is broken or not UTF-8: 400.
    package let query: [QueryItem]?
    package let headers: RequestHeaders
    package let version: Version

    package init(method: String, target: String, headers: RequestHeaders = .init([]), version: Version = .http11) {
        self.init(method: method, rawTarget: Array(target.utf8), headers: headers, version: version)
    }

    init(method: String, rawTarget: some Collection<UInt8>, headers: RequestHeaders, version: Version) {
        self.method = method
        self.rawTarget = String(decoding: rawTarget, as: UTF8.self)
        (pathSegments, query) = Target.parse(rawTarget)
        self.headers = headers
        self.version = version
    }

    /// The first query item of that name.
    package func query(_ name: String) -> String? {
        query?.first { $0.name == name }?.value
    }
}
