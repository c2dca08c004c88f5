@{
    RootModule           = 'CspCtl.psm1'
    ModuleVersion        = '1.0.0'
    GUID                 = '6d0e3b0c-51c7-4f0e-9a53-6c1f1d3c7b42'
    Author               = 'The cspctl authors'
    Copyright            = '(c) The cspctl authors. Apache-2.0.'
    Description          = 'Access tokens of VMware Cloud Services from csp-agent, without the API token in any script.'
    PowerShellVersion    = '5.1'
    CompatiblePSEditions = @('Desktop', 'Core')
    FunctionsToExport    = @('Get-CSPAccessToken', 'Get-CSPRefreshTokenExpiry')
    CmdletsToExport      = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
}
