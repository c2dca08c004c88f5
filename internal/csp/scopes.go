package csp

import (
	"encoding/json"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/upstream"
)

// scopeSetDTO is OrganizationScopes and ServiceScopes of the CSP API.
type scopeSetDTO struct {
	AllPermissions bool     `json:"allPermissions"`
	AllRoles       bool     `json:"allRoles"`
	KeptInToken    []string `json:"keptInToken"`
	Permissions    []struct {
		PermissionID string   `json:"permissionId"`
		Resources    []string `json:"resources"`
	} `json:"permissions"`
	Roles []struct {
		Name     string `json:"name"`
		Resource string `json:"resource"`
	} `json:"roles"`
}

// allowedScopes reads AllowedScopesDto. What is not of that shape is left out:
// it is for display, and no reason to refuse the rest.
func allowedScopes(clean upstream.Cleaner, raw json.RawMessage) *provider.AllowedScopes {
	var b *struct {
		General      []string     `json:"generalScopes"`
		Organization *scopeSetDTO `json:"organizationScopes"`
		Services     []struct {
			scopeSetDTO
			ServiceDefinitionID string `json:"serviceDefinitionId"`
		} `json:"servicesScopes"`
	}
	if json.Unmarshal(raw, &b) != nil || b == nil {
		return nil
	}
	a := &provider.AllowedScopes{General: labels(clean, b.General)}
	if b.Organization != nil {
		set := b.Organization.clean(clean)
		a.Organization = &set
	}
	for _, s := range b.Services[:min(len(b.Services), maxScopes)] {
		a.Services = append(a.Services, provider.ServiceScope{
			ServiceDefinitionID: clean.Label(s.ServiceDefinitionID, upstream.MaxLabel),
			ScopeSet:            s.clean(clean),
		})
	}
	return a
}

func (s *scopeSetDTO) clean(clean upstream.Cleaner) provider.ScopeSet {
	set := provider.ScopeSet{AllPermissions: s.AllPermissions, AllRoles: s.AllRoles, KeptInToken: labels(clean, s.KeptInToken)}
	for _, p := range s.Permissions[:min(len(s.Permissions), maxScopes)] {
		set.Permissions = append(set.Permissions, provider.Permission{
			ID: clean.Label(p.PermissionID, upstream.MaxLabel), Resources: labels(clean, p.Resources)})
	}
	for _, r := range s.Roles[:min(len(s.Roles), maxScopes)] {
		set.Roles = append(set.Roles, provider.Role{Name: clean.Label(r.Name, upstream.MaxLabel), Resource: clean.Label(r.Resource, upstream.MaxLabel)})
	}
	return set
}
