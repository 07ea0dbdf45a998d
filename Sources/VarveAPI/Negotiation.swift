/// `Accept`, `Content-Type` and `Authorization`: what of a request's headers decides before its body is read.

import VarveHTTPServer

enum Negotiation {
    /// The offer that a client wants most, the first of equals; nil when it wants none. Without `Accept` it is the first.
    static func choose(_ accept: [String], from offers: [String]) -> String? {
        guard !accept.isEmpty, accept != ["*/*"] else { return offers.first }
        var best: (offer: String, quality: Double)?
        let ranges = accept.flatMap { $0.split(separator: ",") }.map(Range.init)
        for offer in offers {
            // The most specific range that fits decides.
            let fitting = ranges.filter { $0.fits(offer) }.max { $0.precision < $1.precision }
            guard let quality = fitting?.quality, quality > 0 else { continue }
            if quality > best?.quality ?? 0 { best = (offer, quality) }
        }
        return best?.offer
    }

    /// Whether a content type is the wanted one; parameters (`charset=utf-8`) do not matter, none at all is taken as meant.
    static func isType(_ contentType: String?, _ wanted: String) -> Bool {
        guard let contentType else { return true }
        return trimmed(contentType.prefix { $0 != ";" }).lowercased() == wanted
    }

    private struct Range {
        let type: String
        var quality = 1.0

        init(_ text: Substring) {
            let parts = text.split(separator: ";")
            type = parts.first.map { trimmed($0).lowercased() } ?? ""
            for part in parts.dropFirst() {
                let parameter = trimmed(part)
                if parameter.lowercased().hasPrefix("q=") { quality = Double(parameter.dropFirst(2)) ?? 0 }
            }
        }

        var precision: Int { type == "*/*" ? 0 : type.hasSuffix("/*") ? 1 : 2 }

        func fits(_ offer: String) -> Bool {
            type == "*/*" || type == offer || type.hasSuffix("/*") && offer.hasPrefix(type.dropLast())
        }
    }

    /// Whether the request carries the token. Takes the same time wherever a wrong one differs.
    static func isAuthorized(_ header: String?, _ token: [UInt8]) -> Bool {
        guard let header else { return false }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
        let given = Array(trimmed(parts[1]).utf8)
        var difference = UInt8(given.count == token.count ? 0 : 1)
        for (i, byte) in token.enumerated() { difference |= byte ^ (i < given.count ? given[i] : 0) }
        return difference == 0
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var rest = text[...]
        while let first = rest.first, first == " " || first == "\t" { rest = rest.dropFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest = rest.dropLast() }
        return String(rest)
    }
}
