// The document and the routes are held together: neither has what the other has not.

import Testing
import VarveModel

@testable import VarveAPI

/// Paths with their methods and the names of their query parameters, as far as the document's own layout tells.
private func documented() -> [String: [String: Set<String>]] {
    var paths: [String: [String: Set<String>]] = [:]
    var path = ""
    var method = ""
    var isInPaths = false
    for line in openAPIDocument.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
        if !line.hasPrefix(" "), line.hasSuffix(":") { isInPaths = line == "paths:" }
        guard isInPaths else { continue }
        if line.hasPrefix("  /"), line.hasSuffix(":") {
            path = String(line.dropFirst(2).dropLast())
            paths[path] = [:]
        } else if line == "    get:" || line == "    post:" {
            method = String(line.dropFirst(4).dropLast())
            paths[path]?[method] = []
        } else if line.contains("parameters/"), let name = line.split(separator: "/").last {
            let name = name.prefix { $0.isLetter || $0.isNumber }
            if name.first?.isLowercase == true { paths[path]?[method]?.insert(String(name)) }
        } else if line.contains("{name: "), line.contains("in: query"),
            let name = line.split(separator: "{name: ").last?.prefix(while: { $0 != "," })
        {
            paths[path]?[method]?.insert(String(name))
        }
    }
    return paths
}

@Suite struct OpenAPITests {
    @Test(arguments: Route.allCases)
    func everyRouteIsDocumentedWithItsParameters(_ route: Route) throws {
        let methods = try #require(documented()[route.template], "\(route.template) is missing")
        let parameters = try #require(methods[route.method.rawValue], "\(route) is missing")
        #expect(parameters == route.parameters)
    }

    @Test func nothingIsDocumentedThatIsNotThere() {
        let routes = Set(Route.allCases.map { "\($0.method) \($0.template)" })
        let written = Set(documented().flatMap { path, methods in methods.keys.map { "\($0) \(path)" } })
        #expect(written == routes)
    }

    @Test(arguments: Route.allCases)
    func aRouteIsFoundAtItsOwnPath(_ route: Route) throws {
        let path = route.template.split(separator: "/").map(String.init)
        let place = try #require(Route.place(path))
        #expect((route.method == .get ? place.get : place.post) == route)
    }

    @Test func theDocumentIsServed() async throws {
        try await serving { served in
            let answer = try await served.get("/openapi.yaml")
            #expect(answer.text == openAPIDocument)
            #expect(answer.headers["Content-Type"] == "application/yaml")
        }
    }
}
