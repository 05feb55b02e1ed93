"""The Data Privacy Vocabulary terms that our receipts may use: DPV 2.3, names only.

`dpv:` https://w3id.org/dpv#, `pd:` https://w3id.org/dpv/pd#. Structure and statuses are those that
`receipt` writes (CM-1: `ConsentRevoked`; there is no `ConsentTerminated`); purposes and kinds of
personal data are all that the vocabulary has, since templates and the catalogue choose among them.
"""

from __future__ import annotations

import re


def _terms(text: str) -> frozenset[str]:
    return frozenset(text.split())


STRUCTURE = _terms(
    """
    ConsentReceipt ConsentRecord ConsentNotice DataSubject StorageLocation StorageDuration
    TemporalDuration WithdrawConsent Required Optional hasRecordOfActivity hasDataSubject hasNotice
    hasDataController hasContact hasJurisdiction hasApplicableLaw hasProcess hasPurpose
    hasLegalBasis hasPersonalData hasNecessity hasRecipient hasStorageCondition hasLocation
    hasDuration hasConsentControl isExercisedAt hasRight hasAuthority hasConsentStatus
    isIndicatedAtTime isIndicatedBy hasIndicationMethod
    """
)
STATUSES = _terms(
    """
    ConsentGiven RenewedConsentGiven ConsentRefused ConsentWithdrawn ConsentExpired ConsentRevoked
    ConsentInvalidated ConsentRequestDeferred ConsentStatusInvalidForProcessing ContractOffered
    ContractActive ContractAmended ContractRenewed ContractTemporarilySuspended ContractRejected
    ContractTerminated ContractExpired ContractFulfilled
    """
)
LEGAL_BASES = _terms(
    """
    ExpressedConsent ExplicitlyExpressedConsent ContractPerformance LegalObligation VitalInterest
    PublicInterest LegitimateInterest
    """
)
PURPOSES = _terms(
    """
    AcademicResearch AccountManagement Advertising AgeVerification CombatClimateChange
    CommercialPurpose CommercialResearch CommunicationForCustomerCare CommunicationManagement
    CounterMoneyLaundering Counterterrorism CustomerCare CustomerClaimsManagement
    CustomerManagement CustomerOrderManagement CustomerRelationshipManagement
    CustomerSolvencyMonitoring DataAltruism DeliveryOfGoods DirectMarketing DisputeManagement
    EnforceAccessControl EnforceSecurity EstablishContractualAgreement FraudPreventionAndDetection
    FulfilmentOfContractualObligation FulfilmentOfObligation HumanResourceManagement
    IdentityAuthentication IdentityVerification ImproveExistingProductsAndServices
    ImproveHealthcare ImproveInternalCRMProcesses ImprovePublicServices ImproveTransportMobility
    IncreaseServiceRobustness InternalResourceOptimisation LegalCompliance MaintainFraudDatabase
    Marketing MemberPartnerManagement MisusePreventionAndDetection NonCommercialPurpose
    NonCommercialResearch OptimisationForConsumer OptimisationForController OptimiseUserInterface
    OrganisationComplianceManagement OrganisationGovernance OrganisationRiskManagement
    PaymentManagement Personalisation PersonalisedAdvertising PersonalisedBenefits
    PersonnelBehaviourMonitoring PersonnelHiring PersonnelManagement PersonnelMonitoring
    PersonnelOffboarding PersonnelOnboarding PersonnelPayment PersonnelPerformanceEvaluation
    PersonnelPerformanceManagement PersonnelPerformanceMonitoring PersonnelPerformancePrediction
    PersonnelPromotionManagement PersonnelTerminationManagement PersonnelWorkloadManagement
    PoliticalCampaign ProtectionOfIPR ProtectionOfNationalSecurity ProtectionOfPublicSecurity
    ProvideEventRecommendations ProvideOfficialStatistics ProvidePersonalisedRecommendations
    ProvideProductRecommendations PublicBenefit PublicPolicyMaking PublicRelations
    RecordManagement RecruitmentAdvertising RecruitmentApplicantBackgroundCheck
    RecruitmentApplicantCriminalBackgroundCheck RecruitmentApplicantInformationAuthentication
    RecruitmentApplicantSelection RecruitmentApplicationAnalysis RecruitmentApplicationManagement
    RecruitmentApplicationScreening RecruitmentInterviewAnalysis RecruitmentInterviewAssessment
    RecruitmentInterviewManagement RecruitmentInterviewScheduling RecruitmentManagement
    RecruitmentTargetedAdvertising RepairImpairments RequestedServiceProvision
    ResearchAndDevelopment RightsFulfilment ScientificResearch SearchFunctionalities
    SellDataToThirdParties SellInsightsFromData SellProducts SellProductsToDataSubject
    ServiceAccessDetermination ServiceManagement ServiceMonitoring ServiceOptimisation
    ServicePersonalisation ServiceProvision ServiceRegistration ServiceUsageAnalytics
    SocialMediaMarketing TargetedAdvertising TechnicalServiceProvision
    UserInterfacePersonalisation VendorManagement VendorPayment VendorRecordsManagement
    VendorSelectionAssessment Verification
    """
)
PERSONAL_DATA = _terms(
    """
    Accent AccountIdentifier Acquaintance Age AgeExact AgeRange ApartmentOwned Association
    Attitude Authenticating AuthenticationHistory BankAccount Behavioural Biometric BirthCountry
    BirthDate BirthPlace BloodType BrowserFingerprint BrowserHistory BrowsingBehaviour
    BrowsingReferral CallLog CarOwned Character Citizenship City Communication
    CommunicationsMetadata Connection Contact Country Credit CreditCapacity CreditCardNumber
    CreditRecord CreditScore CreditStanding CreditWorthiness Criminal CriminalCharge
    CriminalConviction CriminalOffence CriminalPardon CurrentEmployment CurrentLocation DNACode
    Demeanour Demographic DeviceApplications DeviceBased DeviceOperatingSystem DeviceSoftware
    Dialect DigitalFingerprint Disability DisciplinaryAction Dislike Divorce Domicile
    DrugTestResult Education EducationExperience EducationQualification EducationTraining
    EmailAddress EmailAddressPersonal EmailAddressWork EmailContent Emotion EmploymentHistory
    EthnicOrigin Ethnicity External FacialExpression FacialPrint Family FamilyHealthHistory
    FamilyStructure Favourite FavouriteColour FavouriteFood FavouriteMusic Fetish Financial
    FinancialAccount FinancialAccountNumber FinancialStatus Fingerprint Friend GPSCoordinate
    Gender GeneralReputation Genetic Geographic GroupMembership GroupProfile HairColour Health
    HealthHistory HealthRecord Height Historical HomeLocation HouseNumber HouseOwned Household
    IPAddress Identifier Identifying Income IncomeBracket IndividualHealthHistory
    IndividualProfile Insurance Intention Interaction Interest Internal Job KnowledgeBelief
    Language LifeHistory Like LinkClicked LoanRecord Locality Location MACAddress MaritalStatus
    Marriage MedicalHealth MentalHealth Mood Name Nationality OfficialID Offspring Opinion
    Ownership PINCode Parent Passport Password PastEmployment PaymentCard PaymentCardExpiry
    PaymentCardNumber PerformanceAtWork PersonalDocuments PersonalPossession Personality
    PhilosophicalBelief PhysicalAddress PhysicalCharacteristic PhysicalHealth PhysicalTrait
    Picture Piercing PoliticalAffiliation PoliticalOpinion PostalCode Preference Prescription
    PrivacyPreference Proclivity Professional ProfessionalCertification ProfessionalEvaluation
    ProfessionalExperience ProfessionalInterview ProfessionalTraining Profile PublicLife
    PubliclyAvailableSocialMedia Purchase PurchasesAndSpendingHabit Race Reference Region
    Relationship Reliability Religion ReligiousBelief Residency Retina RoomNumber Salary Sale
    School SecretText ServiceConsumptionBehaviour Sexual SexualHistory SexualPreference Sibling
    SkinTone Social SocialBehaviour SocialMedia SocialMediaCommunication SocialNetwork
    SocialStatus Street TVViewingBehaviour Tattoo Tax TechnicalKnowledge TelephoneNumber Thought
    Tracking TradeUnionMembership Transaction Transactional TravelHistory UID UserAgent Username
    VehicalLicenseNumber VehicalLicenseRegistration Vehicle VehicleLicense VehicleUsage
    VoiceCommunicationRecording VoiceMail Vulnerability Weight WorkEnvironment WorkExperience
    WorkHistory WorkLocation
    """
)

_PREFIXED = re.compile(r"(dpv|pd):(.*)", re.DOTALL)
_DPV = STRUCTURE | STATUSES | LEGAL_BASES | PURPOSES


def is_known(text: str) -> bool:
    """Tell whether a text is no `dpv:` or `pd:` term at all, or one listed here."""
    match = _PREFIXED.match(text)
    return match is None or match[2] in (_DPV if match[1] == "dpv" else PERSONAL_DATA)
