// Carries a YAML tree into a `Configuration` by the schema, and knows every line it came from.

import VarveModel

struct ConfigurationReader {
    let source: ConfigurationSource
    private(set) var configuration = Configuration()
    /// The line of each section the file has.
    private var sectionLines: [String: Int] = [:]

    init(source: ConfigurationSource) { self.source = source }

    mutating func read(_ root: YAMLNode) throws(VarveError) {
        if case .scalar("", plain: true) = root.content, root.tag == nil { return }
        guard case .mapping(let entries) = root.content, root.tag == nil else {
            throw source.error(root.line, "", "expected sections like `log:` and `storage:`, found \(describe(root))")
        }
        for entry in entries {
            guard let section = ConfigurationSchema.sections.first(where: { $0.key == entry.key }) else {
                throw unknown(entry, among: ConfigurationSchema.sections.map(\.key), within: "")
            }
            sectionLines[entry.key] = entry.line
            try read(entry, as: section)
        }
    }

    private mutating func read(_ entry: YAMLNode.Entry, as section: ConfigurationSection) throws(VarveError) {
        let variant = try variant(of: entry, as: section)
        variant.choose(&configuration)
        let entries: [YAMLNode.Entry]
        switch entry.value.content {
        case .mapping(let found): entries = found
        // A tag alone, `log: !InMemory`, is a section without keys.
        case .scalar("", plain: true) where variant.tag != nil: entries = []
        default:
            throw source.error(
                entry.value.line, entry.key, "expected a section with keys, found \(describe(entry.value))")
        }
        try read(entries, as: variant.fields, within: section.key, line: entry.line, tag: variant.tag)
    }

    private mutating func read(
        _ entries: [YAMLNode.Entry], as fields: [ConfigurationField], within path: String, line: Int,
        tag: String? = nil
    ) throws(VarveError) {
        for found in entries {
            let keyPath = "\(path).\(found.key)"
            guard let field = fields.first(where: { $0.key == found.key }) else {
                throw unknown(found, among: fields.map(\.key), within: path, tag: tag)
            }
            switch field.form {
            case .scalar(let read): try self.read(found, as: field, keyPath, read)
            case .texts(let take): take(try texts(found, keyPath, field), source, &configuration)
            case .sections(let fields): try readSections(found, keyPath, field, fields)
            }
        }
        for field in fields {
            guard case .required = field.fallback, !entries.contains(where: { $0.key == field.key }) else { continue }
            throw source.error(
                line, "\(path).\(field.key)", "\(field.key) is missing; \(tag ?? path) needs it: \(field.expected)")
        }
    }

    /// Names with a scalar each: what YAML takes for a number or a boolean is the text that stands there.
    private func texts(
        _ entry: YAMLNode.Entry, _ keyPath: String, _ field: ConfigurationField
    ) throws(VarveError) -> [String: String] {
        var texts: [String: String] = [:]
        for found in try mapping(entry, keyPath, field) {
            let keyPath = "\(keyPath).\(quoted(found.key).dropFirst().dropLast())"
            guard let scalar = try resolve(found, keyPath) else {
                throw source.error(found.value.line, keyPath, "expected a text, found \(describeKind(found.value))")
            }
            switch (scalar, found.value.content) {
            case (.null, _):
                throw source.error(found.value.line, keyPath, "expected a text, found \(describeKind(scalar))")
            case (.environment(_, let text), _), (_, .scalar(let text, _)): texts[found.key] = text
            default: break
            }
        }
        return texts
    }

    private mutating func readSections(
        _ entry: YAMLNode.Entry, _ keyPath: String, _ field: ConfigurationField,
        _ fields: @Sendable (String) -> [ConfigurationField]
    ) throws(VarveError) {
        for found in try mapping(entry, keyPath, field) {
            guard ConfigurationField.isSectionName(found.key) else {
                throw source.error(
                    found.line, keyPath, "expected a name of at most 64 letters, digits, '.', '_' and '-'")
            }
            let path = "\(keyPath).\(found.key)"
            guard case .mapping(let entries) = found.value.content, found.value.tag == nil else {
                throw source.error(found.value.line, path, "expected a section, found \(describeKind(found.value))")
            }
            try read(entries, as: fields(found.key), within: path, line: found.line)
        }
    }

    private func mapping(
        _ entry: YAMLNode.Entry, _ keyPath: String, _ field: ConfigurationField
    ) throws(VarveError) -> [YAMLNode.Entry] {
        guard case .mapping(let entries) = entry.value.content, entry.value.tag == nil else {
            throw source.error(
                entry.value.line, keyPath, "expected \(field.expected), found \(describeKind(entry.value))")
        }
        return entries
    }

    private func variant(
        of entry: YAMLNode.Entry, as section: ConfigurationSection
    ) throws(VarveError) -> ConfigurationSection.Variant {
        let tag = entry.value.tag
        if let variant = section.variants.first(where: { $0.tag == tag }) { return variant }
        let tags = section.variants.compactMap(\.tag)
        if tags.isEmpty {
            throw source.error(
                entry.value.line, entry.key, "\(section.key) takes no tag, found \(quoted(tag ?? ""))")
        }
        let found = tag.map { "the tag \(quoted($0))\(suggestion(for: $0, among: tags))" } ?? describe(entry.value)
        throw source.error(
            entry.line, entry.key, "expected one of the tags \(tags.joined(separator: ", ")), found \(found)")
    }

    private mutating func read(
        _ entry: YAMLNode.Entry, as field: ConfigurationField, _ keyPath: String,
        _ read: @Sendable (ResolvedScalar, ConfigurationSource, inout Configuration) -> Bool
    ) throws(VarveError) {
        guard let scalar = try resolve(entry, keyPath) else {
            throw source.error(
                entry.value.line, keyPath, "expected \(field.expected), found \(describe(entry.value))")
        }
        if read(scalar, source, &configuration) { return }
        let found = field.isSecret ? describeKind(scalar) : describe(scalar, entry.value)
        throw source.error(entry.value.line, keyPath, "expected \(field.expected), found \(found)")
    }

    /// nil for what is no scalar.
    private func resolve(_ entry: YAMLNode.Entry, _ keyPath: String) throws(VarveError) -> ResolvedScalar? {
        guard let tag = entry.value.tag else {
            guard case .scalar(let text, let plain) = entry.value.content else { return nil }
            return plain ? ResolvedScalar(plain: text) : .text(text)
        }
        guard tag == "!Env" else {
            throw source.error(entry.value.line, keyPath, "only the tag !Env may stand here, found \(quoted(tag))")
        }
        guard case .scalar(let name, _) = entry.value.content, isVariable(name) else {
            throw source.error(
                entry.value.line, keyPath, "expected the name of an environment variable after !Env")
        }
        guard let value = source.environment[name], !value.isEmpty else {
            let state = source.environment[name] == nil ? "not set" : "empty"
            throw source.error(entry.value.line, keyPath, "the environment variable \(name) is \(state)")
        }
        return .environment(name: name, value)
    }

    private func isVariable(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f: true
            default: false
            }
        }
    }

    /// The rules between keys, once all of them are read.
    func checkRules() throws(VarveError) {
        guard let broken = configuration.brokenRules().first else { return }
        let section = String(broken.keyPath.prefix { $0 != "." })
        throw source.error(sectionLines[section] ?? 1, broken.keyPath, broken.message)
    }

    private func unknown(
        _ entry: YAMLNode.Entry, among keys: [String], within section: String, tag: String? = nil
    ) -> VarveError {
        let place = section.isEmpty ? "" : " in \(section)\(tag.map { " \($0)" } ?? "")"
        let known = keys.isEmpty ? "; it has no keys" : "; known: \(keys.joined(separator: ", "))"
        let message = "unknown key \(quoted(entry.key))\(place)\(suggestion(for: entry.key, among: keys))\(known)"
        let name = quoted(entry.key).dropFirst().dropLast()
        return source.error(entry.line, section.isEmpty ? String(name) : "\(section).\(name)", message)
    }

    private func suggestion(for name: String, among known: [String]) -> String {
        nearest(to: name, among: known).map { ", did you mean \($0)?" } ?? ""
    }
}

/// What stands there, in words; values of `!Env` may be secrets and are never shown.
private func describe(_ scalar: ResolvedScalar, _ node: YAMLNode) -> String {
    guard case .scalar(let text, _) = node.content else { return describe(node) }
    switch scalar {
    case .null, .environment: return describeKind(scalar)
    case .boolean, .integer, .float: return "\(describeKind(scalar)) \(text)"
    case .text: return "the text \(quoted(text))"
    }
}

/// The same without the value, which may be a secret.
private func describeKind(_ node: YAMLNode) -> String {
    if case .scalar(let text, let plain) = node.content {
        return describeKind(plain ? ResolvedScalar(plain: text) : .text(text))
    }
    return describe(node)
}

private func describeKind(_ scalar: ResolvedScalar) -> String {
    switch scalar {
    case .null: "null, which is no value"
    case .boolean: "the boolean"
    case .integer, .float: "the number"
    case .text: "another text"
    case .environment(let name, _): "what the environment variable \(name) holds"
    }
}

private func describe(_ node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let text, let plain): describe(plain ? ResolvedScalar(plain: text) : .text(text), node)
    case .mapping: node.tag == nil ? "a section without a tag" : "a section"
    case .sequence: "a list"
    }
}

/// The known name that a typing error is most likely to have meant: the same but for case, or a few edits away.
func nearest(to name: String, among known: [String]) -> String? {
    guard name.utf8.count <= 64 else { return nil }
    if let same = known.first(where: { $0.lowercased() == name.lowercased() }) { return same }
    let distances = known.map { ($0, editDistance(name.lowercased(), $0.lowercased())) }
    guard let best = distances.min(by: { $0.1 < $1.1 }), best.1 <= max(1, min(3, name.utf8.count / 3)) else {
        return nil
    }
    return best.0
}

/// Insertions, deletions, changes and swaps of neighbours.
private func editDistance(_ left: String, _ right: String) -> Int {
    let left = Array(left.utf8)
    let right = Array(right.utf8)
    var rows = [Array(0...right.count)]
    for row in left.indices {
        var next = [row + 1]
        for column in right.indices {
            var best = rows[row][column] + (left[row] == right[column] ? 0 : 1)
            best = min(best, rows[row][column + 1] + 1, next[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                best = min(best, rows[row - 1][column - 1] + 1)
            }
            next.append(best)
        }
        rows.append(next)
    }
    return rows[left.count][right.count]
}
